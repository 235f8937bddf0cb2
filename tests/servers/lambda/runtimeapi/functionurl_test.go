package runtimeapi_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/piecework/piecework/tests/servers/lambda/runtimeapi"
)

// open puts a function URL before a function.
func open(t *testing.T, f *runtimeapi.Function, stream bool) string {
	t.Helper()
	s := httptest.NewServer(&runtimeapi.URL{Function: f, Stream: stream})
	t.Cleanup(s.Close)
	return s.URL
}

func TestURLBuffered(t *testing.T) {
	t.Parallel()
	url := open(t, deploy(t, runtimeapi.Config{}), false)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/a%20b?x=1&x=2", strings.NewReader(`{"q":1}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer t")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted || resp.Header.Get("X-Puppet") != "yes" || resp.Header.Get("Set-Cookie") != "c=d" {
		t.Errorf("answer %d %v, want 202 with the header X-Puppet and a cookie", resp.StatusCode, resp.Header)
	}
	var event events.LambdaFunctionURLRequest
	if err := json.NewDecoder(resp.Body).Decode(&event); err != nil {
		t.Fatal(err)
	}
	if event.Version != "2.0" || event.RawPath != "/a%20b" || event.RawQueryString != "x=1&x=2" || event.Body != `{"q":1}` || event.IsBase64Encoded ||
		event.Headers["authorization"] != "Bearer t" || event.QueryStringParameters["x"] != "1,2" ||
		event.RequestContext.HTTP.Method != http.MethodPost || event.RequestContext.HTTP.Path != "/a b" {
		t.Errorf("event %+v, want the POST as version 2.0, with its path, query, header and body", event)
	}
}

func TestURLEncodesBinaryBodies(t *testing.T) {
	t.Parallel()
	url := open(t, deploy(t, runtimeapi.Config{}), false)
	resp, err := http.Post(url+"/x", "application/octet-stream", strings.NewReader("\xff\x00"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || !strings.Contains(string(body), `"body":"/wA="`) || !strings.Contains(string(body), `"isBase64Encoded":true`) {
		t.Errorf("event %s (%v), want the body in base64", body, err)
	}
}

func TestURLStreams(t *testing.T) {
	t.Parallel()
	url := open(t, deploy(t, runtimeapi.Config{Timeout: 20 * time.Second}), true)
	resp, err := http.Get(url + "/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, resp.Body)
	if err != nil || n != 10<<20 { // more than a buffered answer may have
		t.Errorf("%d bytes, %v", n, err)
	}
	if resp.StatusCode != http.StatusCreated || resp.Header.Get("Content-Type") != "text/plain" || resp.Header.Get("Set-Cookie") != "a=b" {
		t.Errorf("answer %d %v, want 201 with the content type and a cookie", resp.StatusCode, resp.Header)
	}
}

// A stream that breaks off must not look complete.
func TestURLStreamThatBreaksOff(t *testing.T) {
	t.Parallel()
	url := open(t, deploy(t, runtimeapi.Config{}), true)
	resp, err := http.Get(url + "/broken")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("%q looks like all of it", body)
	}
}

func TestURLOfFunctionThatIsGone(t *testing.T) {
	t.Parallel()
	f := deploy(t, runtimeapi.Config{})
	url := open(t, f, false)
	f.Close()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusBadGateway {
		t.Errorf("status %d, want 502", resp.StatusCode)
	}
}
