package lambda

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/aws/aws-lambda-go/events"
)

// Caller is whom IAM has let in.
type Caller struct {
	ARN     string // of the user or role
	Account string
}

type callerKey struct{}

// CallerOf returns whom IAM has let in to make the request of ctx; false if IAM did not check. A
// client cannot forge it: AWS writes it into the event. To call the function without AWS's HTTP in
// between needs permission by IAM too.
func CallerOf(ctx context.Context) (Caller, bool) {
	c, ok := ctx.Value(callerKey{}).(Caller)
	return c, ok
}

// requestV2 makes a request of payload 2.0.
func requestV2(ctx context.Context, e *events.APIGatewayV2HTTPRequest) (*http.Request, error) {
	about := e.RequestContext
	if a := about.Authorizer; a != nil && a.IAM != nil && a.IAM.UserARN != "" {
		ctx = context.WithValue(ctx, callerKey{}, Caller{a.IAM.UserARN, a.IAM.AccountID})
	}
	header := http.Header{}
	for name, value := range e.Headers { // several values come joined by commas, as HTTP allows
		header.Set(name, value)
	}
	if len(e.Cookies) > 0 {
		header.Set("Cookie", strings.Join(e.Cookies, "; "))
	}
	return newRequest(ctx, parts{
		method: about.HTTP.Method, path: withoutStage(e.RawPath, about.Stage), query: e.RawQueryString, header: header,
		host: about.DomainName, from: about.HTTP.SourceIP, protocol: about.HTTP.Protocol, body: e.Body, encoded: e.IsBase64Encoded,
	})
}

// restRequest is payload 1.0. REST APIs leave out the version.
type restRequest struct {
	events.APIGatewayProxyRequest

	Version string `json:"version"`
}

// requestV1 makes a request of payload 1.0.
func requestV1(ctx context.Context, e *restRequest) (*http.Request, error) {
	about := e.RequestContext
	if id := about.Identity; id.UserArn != "" {
		ctx = context.WithValue(ctx, callerKey{}, Caller{id.UserArn, id.AccountID})
	}
	header := http.Header{}
	for name, value := range e.Headers {
		header.Set(name, value)
	}
	for name, values := range e.MultiValueHeaders {
		header[http.CanonicalHeaderKey(name)] = values
	}
	query := url.Values{}
	for name, value := range e.QueryStringParameters {
		query.Set(name, value)
	}
	maps.Copy(query, e.MultiValueQueryStringParameters)
	path := e.Path
	if e.Version != "" { // of an HTTP API; a REST API has no stage in it
		path = withoutStage(path, about.Stage)
	}
	return newRequest(ctx, parts{
		method: e.HTTPMethod, path: path, query: query.Encode(), header: header, host: about.DomainName,
		from: about.Identity.SourceIP, protocol: about.Protocol, body: e.Body, encoded: e.IsBase64Encoded,
	})
}

// withoutStage takes the stage's name off a path, which API Gateway puts before it if the stage is
// not the default one.
func withoutStage(path, stage string) string {
	if rest, ok := strings.CutPrefix(path, "/"+stage); ok && stage != "" && stage != "$default" && (rest == "" || rest[0] == '/') {
		return rest
	}
	return path
}

// parts are what a request is made of.
type parts struct {
	method, path, query string
	header              http.Header
	host, from          string
	protocol            string
	body                string
	encoded             bool
}

func newRequest(ctx context.Context, p parts) (*http.Request, error) {
	if h := p.header.Get("Host"); h != "" {
		p.host = h
	}
	p.header.Del("Host") // as in every request of net/http's server
	if !strings.HasPrefix(p.path, "/") {
		p.path = "/" + p.path
	}
	u := &url.URL{Path: p.path, RawQuery: p.query}
	if plain, err := url.PathUnescape(p.path); err == nil { // else it has been unescaped before
		u.Path, u.RawPath = plain, p.path
	}
	var body io.Reader = strings.NewReader(p.body)
	length := int64(len(p.body))
	if p.encoded {
		plain, err := base64.StdEncoding.DecodeString(p.body)
		if err != nil {
			return nil, fmt.Errorf("the function \"api\" got a request with isBase64Encoded, whose body is not base64: %w", err)
		}
		body, length = strings.NewReader(string(plain)), int64(len(plain))
	}
	r, err := http.NewRequestWithContext(ctx, p.method, "/", body)
	if err != nil {
		return nil, fmt.Errorf("the function \"api\" got an invalid request: %w", err)
	}
	r.URL, r.Header, r.Host, r.ContentLength = u, p.header, p.host, length
	r.RequestURI = u.RequestURI()
	r.RemoteAddr = net.JoinHostPort(p.from, "0") // the event has no port
	if major, minor, ok := http.ParseHTTPVersion(p.protocol); ok {
		r.Proto, r.ProtoMajor, r.ProtoMinor = p.protocol, major, minor
	}
	return r, nil
}
