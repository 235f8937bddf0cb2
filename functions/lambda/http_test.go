package lambda_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/piecework/piecework/functions/lambda"
)

// answer is what AWS reads of an answer, in either form.
type answer struct {
	Status            int                 `json:"statusCode"`
	Headers           map[string]string   `json:"headers"`
	MultiValueHeaders map[string][]string `json:"multiValueHeaders"`
	Cookies           []string            `json:"cookies"`
	Body              string              `json:"body"`
	IsBase64Encoded   bool                `json:"isBase64Encoded"`
}

// ask calls a handler with an event, and returns what AWS reads.
func ask(ctx context.Context, t *testing.T, h lambda.Handler, event string) answer {
	t.Helper()
	v, err := h(ctx, json.RawMessage(event))
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	if len(text) > 6<<20 {
		t.Errorf("the answer has %d bytes", len(text))
	}
	var a answer
	if err := json.Unmarshal(text, &a); err != nil {
		t.Fatal(err)
	}
	return a
}

func (a answer) body(t *testing.T) string {
	t.Helper()
	if !a.IsBase64Encoded {
		return a.Body
	}
	plain, err := base64.StdEncoding.DecodeString(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(plain)
}

// v2 is an event of payload 2.0, with some of its fields in JSON.
func v2(method, path, query string, more ...string) string {
	return fmt.Sprintf(`{"version":"2.0","routeKey":"$default","rawPath":%q,"rawQueryString":%q,"headers":{"host":"jobs.example.com","accept":"a, b","x-n":"1"},
		"requestContext":{"stage":"$default","domainName":"id.lambda-url.eu-central-1.on.aws","http":{"method":%q,"path":%q,"protocol":"HTTP/1.1","sourceIp":"203.0.113.9"}%s}%s}`,
		path, query, method, path, strings.Join(append(more, "", "")[:1], ""), strings.Join(append(more, "", "")[1:2], ""))
}

// mirror answers with what it was asked.
func mirror(t *testing.T) lambda.Handler {
	return made(t)(lambda.HTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		caller, _ := lambda.CallerOf(r.Context())
		w.Header().Set("Content-Type", "text/plain")
		_, _ = fmt.Fprintf(w, "%s %s|%s|%s|%s|%v|%v|%s|%d|%s", r.Method, r.Host, r.URL.EscapedPath(), r.URL.Path, r.URL.RawQuery, r.Header["Accept"],
			r.Cookies(), body, r.ContentLength, r.RemoteAddr+" "+caller.ARN)
	})))
}

const iam = `,"authorizer":{"iam":{"accessKey":"AKIA","accountId":"111122223333","callerId":"AIDA","userArn":"arn:aws:iam::111122223333:user/ann","userId":"AIDA"}}`

func TestRequestsOfPayload2(t *testing.T) {
	h := mirror(t)
	for _, c := range []struct{ event, want string }{
		{v2("GET", "/v1/jobs", "kind=a%2Fb&kind=c&x=%20"), "GET jobs.example.com|/v1/jobs|/v1/jobs|kind=a%2Fb&kind=c&x=%20|[a, b]|[]||0|203.0.113.9:0 "},
		{v2("POST", "/v1/a%2Fb/%C3%BC", "", iam, `,"body":"{\"a\":1}","cookies":["a=1","b=2"]`),
			`POST jobs.example.com|/v1/a%2Fb/%C3%BC|/v1/a/b/ü||[a, b]|[a=1 b=2]|{"a":1}|7|203.0.113.9:0 arn:aws:iam::111122223333:user/ann`},
		{v2("PUT", "/50% off", "", "", `,"body":"/wD+","isBase64Encoded":true`), "PUT jobs.example.com|/50%25%20off|/50% off||[a, b]|[]|\xff\x00\xfe|3|203.0.113.9:0 "},
		{strings.Replace(v2("GET", "/prod/v1/jobs", ""), "\"$default\",\"domain", "\"prod\",\"domain", 1), "GET jobs.example.com|/v1/jobs|/v1/jobs||[a, b]|[]||0|203.0.113.9:0 "},
		{strings.Replace(v2("GET", "/production", ""), "\"$default\",\"domain", "\"prod\",\"domain", 1), "GET jobs.example.com|/production|/production||[a, b]|[]||0|203.0.113.9:0 "},
		{strings.Replace(v2("GET", "/prod", ""), "\"$default\",\"domain", "\"prod\",\"domain", 1), "GET jobs.example.com|/|/||[a, b]|[]||0|203.0.113.9:0 "},
	} {
		a := ask(t.Context(), t, h, c.event)
		got := a.body(t)
		if got != c.want || a.Status != 200 || a.Headers["Content-Type"] != "text/plain" {
			t.Errorf("%s\nbecame %q\nwant   %q", c.event, got, c.want)
		}
	}
}

func TestRequestsOfPayload1(t *testing.T) {
	h := mirror(t)
	const rest = `{"resource":"/{proxy+}","path":"/v1/jobs","httpMethod":"POST","headers":{"Host":"x.example","accept":"z"},"multiValueHeaders":{"Host":["x.example"],"accept":["a","b"]},
		"queryStringParameters":{"k":"2"},"multiValueQueryStringParameters":{"k":["1 1","2"]},"body":"hi",
		"requestContext":{"stage":"v1","domainName":"id.execute-api.eu-central-1.amazonaws.com","protocol":"HTTP/1.1","identity":{"sourceIp":"203.0.113.9"%s}}%s}`
	for _, c := range []struct{ event, want string }{
		{fmt.Sprintf(rest, "", ""), "POST x.example|/v1/jobs|/v1/jobs|k=1+1&k=2|[a b]|[]|hi|2|203.0.113.9:0 "},
		{fmt.Sprintf(rest, `,"userArn":"arn:aws:iam::1:role/r"`, ""), "POST x.example|/v1/jobs|/v1/jobs|k=1+1&k=2|[a b]|[]|hi|2|203.0.113.9:0 arn:aws:iam::1:role/r"},
		{fmt.Sprintf(rest, "", `,"version":"1.0"`), "POST x.example|/jobs|/jobs|k=1+1&k=2|[a b]|[]|hi|2|203.0.113.9:0 "},
	} {
		a := ask(t.Context(), t, h, c.event)
		if got := a.body(t); got != c.want || a.MultiValueHeaders["Content-Type"][0] != "text/plain" || a.Headers != nil {
			t.Errorf("%s\nbecame %q\nwant   %q", c.event, got, c.want)
		}
	}
}

func TestRequestsThatAreNone(t *testing.T) {
	h := mirror(t)
	for event, says := range map[string]string{
		`{}`:   `the function "api" got JSON of another form, but takes HTTP requests`,
		`null`: "HTTP requests",
		`{"Records":[{"eventSource":"aws:sqs"}]}`:                    `an event of "aws:sqs"`,
		`{"version":"2.0"}`:                                          "HTTP requests",
		v2("GET", "/", "", "", `,"body":"?","isBase64Encoded":true`): "not base64",
		v2("G T", "/", ""):                                           "invalid request",
	} {
		_, err := h(t.Context(), json.RawMessage(event))
		wantErr(t, err, says)
	}
}

func TestAnswers(t *testing.T) {
	h := made(t)(lambda.HTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/binary":
			_, _ = w.Write([]byte("\x89PNG\r\n\x1a\n\xff"))
		case "/cookies":
			w.Header().Add("Set-Cookie", "a=1")
			w.Header().Add("Set-Cookie", "b=2")
			w.Header().Add("Vary", "x")
			w.Header().Add("Vary", "y")
			w.Header().Set("Content-Length", "0")
			w.WriteHeader(http.StatusNoContent)
			w.WriteHeader(http.StatusTeapot) // too late
		case "/head":
			w.Header().Set("Content-Length", "123")
			_, _ = io.WriteString(w, "not sent")
		case "/abort":
			w.Header().Set("X-Request-ID", "r-7")
			_, _ = io.WriteString(w, "half of")
			panic(http.ErrAbortHandler)
		case "/panic":
			panic("boom")
		}
	})))
	if a := ask(t.Context(), t, h, v2("GET", "/binary", "")); !a.IsBase64Encoded || a.body(t) != "\x89PNG\r\n\x1a\n\xff" || a.Headers["Content-Type"] != "image/png" {
		t.Errorf("answer = %+v; want a.IsBase64Encoded, body = \"\\x89PNG\\r\\n\\x1a\\n\\xff\" and a.Headers[\"Content-Type\"] = \"image/png\"",
			a)
	}
	a := ask(t.Context(), t, h, v2("GET", "/cookies", ""))
	if fmt.Sprint(a.Cookies, a.Headers) != "[a=1 b=2] map[Vary:x, y]" || a.Status != 204 || a.Body != "" {
		t.Errorf("answer = %+v; want fmt.Sprint(a.Cookies, a.Headers) = \"[a=1 b=2] map[Vary:x, y]\", a.Status = 204 and no a.Body", a)
	}
	if a := ask(t.Context(), t, h, v2("HEAD", "/head", "")); a.Body != "" || a.Headers["Content-Length"] != "123" {
		t.Errorf("answer = %+v; want no a.Body and a.Headers[\"Content-Length\"] = \"123\"", a)
	}
	if a := ask(t.Context(), t, h, v2("GET", "/nothing", "")); a.Status != 200 || a.Body != "" {
		t.Errorf("answer = %+v; want a.Status = 200 and no a.Body", a)
	}
	a = ask(t.Context(), t, h, v2("GET", "/abort", ""))
	if a.Status != 502 || a.Headers["Content-Type"] != "application/problem+json" || a.Headers["X-Request-Id"] != "r-7" || strings.Contains(a.Body, "half") {
		t.Errorf("answer = %+v; want a.Status = 502, a.Headers[\"Content-Type\"] = \"application/problem+json\", a.Headers[\"X-Request-Id\"] = \"r-7\" and not Contains(a.Body, \"half\")",
			a)
	}
	_, err := h(t.Context(), json.RawMessage(v2("GET", "/panic", "")))
	wantErr(t, err, "answer GET /panic: panic: boom", "http_test.go")
}

// An answer that does not fit says what to do instead.
func TestAnswersThatAreTooLong(t *testing.T) {
	noise := make([]byte, 5<<20)
	_, _ = rand.Read(noise)
	written := 0
	h := made(t)(lambda.HTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/fits": // six bytes of JSON for one of these would not
			_, _ = w.Write(bytes.Repeat([]byte("a"), 6<<20-1000))
		case "/announced":
			http.ServeContent(w, r, "x.bin", time.Time{}, io.NewSectionReader(endless{&written}, 0, 1<<40))
		case "/growing":
			for err := error(nil); err == nil; {
				_, err = w.Write(noise[:1<<20])
			}
		case "/encoded":
			_, _ = w.Write(noise) // is longer in base64
		case "/escaped":
			_, _ = w.Write(bytes.Repeat([]byte{1}, 5<<20))
		case "/better-encoded": // which takes less than its escapes
			_, _ = w.Write(bytes.Repeat([]byte{1}, 4<<20))
		}
	})))
	if a := ask(t.Context(), t, h, v2("GET", "/fits", "")); a.Status != 200 || len(a.Body) != 6<<20-1000 {
		t.Errorf("status %d, %d bytes", a.Status, len(a.Body))
	}
	if a := ask(t.Context(), t, h, v2("GET", "/better-encoded", "")); a.Status != 200 || !a.IsBase64Encoded || len(a.body(t)) != 4<<20 {
		t.Errorf("/better-encoded: status %d, encoded %v, %d bytes, want 200 in base64", a.Status, a.IsBase64Encoded, len(a.body(t)))
	}
	for _, path := range []string{"/announced", "/growing", "/encoded", "/escaped"} {
		a := ask(t.Context(), t, h, v2("GET", path, ""))
		if a.Status != 413 || a.Headers["Content-Type"] != "application/problem+json" {
			t.Errorf("%s: status %d, %v", path, a.Status, a.Headers)
		}
		for _, text := range []string{`"code":"too_large"`, "Range: bytes=0-3999999", "PIECEWORK_STREAM=true", "RESPONSE_STREAM"} {
			if !strings.Contains(a.Body, text) {
				t.Errorf("%s: %s does not say %s", path, a.Body, text)
			}
		}
	}
	if written > 1<<20 {
		t.Errorf("%d bytes of an answer were read that is too long from the start", written)
	}
	// A part that fits is served as such.
	event := strings.Replace(v2("GET", "/announced", ""), `"x-n":"1"`, `"range":"bytes=5-14"`, 1)
	if a := ask(t.Context(), t, h, event); a.Status != 206 || len(a.body(t)) != 10 || a.Headers["Content-Range"] != fmt.Sprintf("bytes 5-14/%d", 1<<40) {
		t.Errorf("answer = %+v; want a.Status = 206, 10 body and a.Headers[\"Content-Range\"] = fmt.Sprintf(\"bytes 5-14/%%d\", 1<<40)", a)
	}
}

// endless reads zeros, and counts.
type endless struct{ n *int }

func (e endless) ReadAt(p []byte, _ int64) (int, error) {
	*e.n += len(p)
	clear(p)
	return len(p), nil
}

func TestRequestsEndBeforeTheFunctionDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := made(t)(lambda.HTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			http.Error(w, "too slow", http.StatusGatewayTimeout)
		})))
		start := time.Now()
		if a := ask(invocation(t, 30*time.Second), t, h, v2("GET", "/", "")); a.Status != 504 || time.Since(start) != 28*time.Second {
			t.Errorf("status %d after %v", a.Status, time.Since(start))
		}
	})
}

// stream calls a streaming handler, and returns what Lambda reads: the prelude, and the body with
// its error.
func stream(ctx context.Context, t *testing.T, h lambda.Handler, event string) (prelude answer, body string, err error) {
	t.Helper()
	v, err := h(ctx, json.RawMessage(event))
	if err != nil {
		t.Fatal(err)
	}
	r, ok := v.(interface {
		io.ReadCloser
		ContentType() string
	})
	if !ok || r.ContentType() != "application/vnd.awslambda.http-integration-response" {
		t.Fatalf("answer %T", v)
	}
	defer r.Close()
	all, err := io.ReadAll(r)
	head, rest, ok := bytes.Cut(all, make([]byte, 8))
	if !ok {
		t.Fatalf("no prelude in %q", all)
	}
	if err := json.Unmarshal(head, &prelude); err != nil {
		t.Fatal(err)
	}
	return prelude, string(rest), err
}

func TestStreaming(t *testing.T) {
	stopped := make(chan error, 1)
	h := made(t)(lambda.Stream(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/v1/big":
			caller, _ := lambda.CallerOf(r.Context())
			w.Header().Set("X-Caller", caller.ARN)
			w.Header().Set("X-Query", r.URL.RawQuery)
			http.ServeContent(w, r, "x.bin", time.Time{}, io.NewSectionReader(endless{new(int)}, 0, 20<<20))
		case "/broken":
			_, _ = io.WriteString(w, "half of")
			panic(http.ErrAbortHandler)
		case "/early":
			panic("boom")
		case "/endless":
			var err error
			for err == nil {
				_, err = w.Write(make([]byte, 1000))
			}
			stopped <- err
		}
	})))
	head, body, err := stream(t.Context(), t, h, v2("GET", "/v1/big", "a=b", iam))
	if err != nil || head.Status != 200 || len(body) != 20<<20 || !strings.HasSuffix(head.Headers["X-Caller"], "user/ann") || head.Headers["X-Query"] != "a=b" ||
		head.Headers["Content-Type"] != "application/octet-stream" || head.Headers["Content-Length"] != "" {
		t.Errorf("%+v, %d bytes, error %v", head, len(body), err)
	}
	head, body, err = stream(t.Context(), t, h, v2("GET", "/broken", ""))
	if head.Status != 200 || body != "half of" || !errors.Is(err, http.ErrAbortHandler) {
		t.Errorf("%+v, %q, error %v: an answer that broke off must not look whole", head, body, err)
	}
	head, _, err = stream(t.Context(), t, h, v2("GET", "/early", ""))
	if head.Status != 502 || err == nil {
		t.Errorf("%+v, error %v", head, err)
	}
	head, body, err = stream(t.Context(), t, h, v2("GET", "/50% off", ""))
	if head.Status != 200 || body != "" || err != nil {
		t.Errorf("%+v, %q, error %v", head, body, err)
	}
	v, err := h(t.Context(), json.RawMessage(v2("GET", "/endless", "")))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.CopyN(io.Discard, v.(io.Reader), 5000)
	_ = v.(io.Closer).Close() // nobody reads any more
	if err := <-stopped; err == nil {
		t.Error("a handler goes on writing to nobody")
	}
	_, err = h(t.Context(), json.RawMessage(`{"httpMethod":"GET","path":"/"}`))
	wantErr(t, err, "HTTP requests")
}
