package runtimeapi

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
)

// URL is a function URL: it makes an event of an HTTP request, in version 2.0 of the payload format, and an HTTP answer
// of the function's.
type URL struct {
	Function *Function
	Stream   bool // invoke mode RESPONSE_STREAM instead of BUFFERED
}

// maxBody is the longest body of a request.
const maxBody = 6 << 20

type object = map[string]any

// ServeHTTP answers a request.
func (u *URL) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		problem(w, http.StatusRequestEntityTooLarge, "Request must be smaller than 6291456 bytes for the InvokeFunction operation")
		return
	}
	payload, err := json.Marshal(event(r, body))
	if err != nil {
		problem(w, http.StatusBadRequest, err.Error())
		return
	}
	var result Result
	var stream *streamed
	if u.Stream {
		stream = &streamed{to: w}
		result, err = u.Function.invoke(r.Context(), payload, stream)
	} else {
		result, err = u.Function.Invoke(r.Context(), payload)
	}
	switch {
	case errors.Is(err, ErrThrottled):
		problem(w, http.StatusTooManyRequests, "Rate Exceeded.")
	case err != nil:
		problem(w, http.StatusBadGateway, err.Error())
	case stream != nil && stream.begun && result.FunctionError != "":
		panic(http.ErrAbortHandler) // what was sent is not all
	case result.FunctionError != "":
		problem(w, http.StatusBadGateway, "Internal Server Error")
	case stream != nil:
		stream.end()
	default:
		buffered(w, result.Payload)
	}
}

// event is the request as the function gets it.
func event(r *http.Request, body []byte) object {
	const name = "abcdefghijklmnopqrstuvwxyz012345"
	headers := map[string]string{"host": r.Host, "x-forwarded-proto": "https", "x-forwarded-port": "443"}
	for key, values := range r.Header {
		if key != "Cookie" {
			headers[strings.ToLower(key)] = strings.Join(values, ",")
		}
	}
	source, _, _ := net.SplitHostPort(r.RemoteAddr)
	now := time.Now().UTC()
	e := object{
		"version": "2.0", "routeKey": "$default", "rawPath": r.URL.EscapedPath(), "rawQueryString": r.URL.RawQuery,
		"headers": headers, "isBase64Encoded": false,
		"requestContext": object{
			"accountId": "anonymous", "apiId": name, "domainName": name + ".lambda-url.us-east-1.on.aws", "domainPrefix": name,
			"requestId": uuid.NewString(), "routeKey": "$default", "stage": "$default",
			"time": now.Format("02/Jan/2006:15:04:05 -0700"), "timeEpoch": now.UnixMilli(),
			"http": object{
				"method": r.Method, "path": r.URL.Path, "protocol": r.Proto, "sourceIp": source, "userAgent": r.UserAgent(),
			},
		},
	}
	if query := r.URL.Query(); len(query) > 0 {
		parameters := map[string]string{}
		for key, values := range query {
			parameters[key] = strings.Join(values, ",")
		}
		e["queryStringParameters"] = parameters
	}
	var cookies []string
	for _, c := range r.Cookies() {
		cookies = append(cookies, c.String())
	}
	if cookies != nil {
		e["cookies"] = cookies
	}
	switch {
	case len(body) == 0:
	case isText(r.Header.Get("Content-Type")) && utf8.Valid(body):
		e["body"] = string(body)
	default:
		e["body"], e["isBase64Encoded"] = base64.StdEncoding.EncodeToString(body), true
	}
	return e
}

// isText tells the content types whose bodies come as they are.
func isText(contentType string) bool {
	kind, _, err := mime.ParseMediaType(contentType)
	return err == nil && (strings.HasPrefix(kind, "text/") || kind == "application/json" || kind == "application/xml" ||
		kind == "application/javascript")
}

// buffered turns an answer into HTTP: an object with a status code says everything, any other JSON is the body.
func buffered(w http.ResponseWriter, payload []byte) {
	var answer struct {
		StatusCode      int               `json:"statusCode"`
		Headers         map[string]string `json:"headers"`
		Cookies         []string          `json:"cookies"`
		Body            string            `json:"body"`
		IsBase64Encoded bool              `json:"isBase64Encoded"`
	}
	if !json.Valid(payload) {
		problem(w, http.StatusBadGateway, "Internal Server Error")
		return
	}
	if err := json.Unmarshal(payload, &answer); err != nil || answer.StatusCode == 0 {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(payload)
		return
	}
	body := []byte(answer.Body)
	if answer.IsBase64Encoded {
		var err error
		if body, err = base64.StdEncoding.DecodeString(answer.Body); err != nil {
			problem(w, http.StatusBadGateway, "Internal Server Error")
			return
		}
	}
	writeHead(w, answer.StatusCode, answer.Headers, answer.Cookies)
	_, _ = w.Write(body)
}

func writeHead(w http.ResponseWriter, status int, headers map[string]string, cookies []string) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	for key, value := range headers {
		if !strings.EqualFold(key, "Content-Length") && !strings.EqualFold(key, "Transfer-Encoding") {
			h.Set(key, value)
		}
	}
	for _, c := range cookies {
		h.Add("Set-Cookie", c)
	}
	w.WriteHeader(status)
}

func problem(w http.ResponseWriter, status int, text string) {
	reply(w, status, object{"Message": text})
}
