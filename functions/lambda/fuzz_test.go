package lambda_test

import (
	"encoding/json"
	"io"
	"net/http"
	"testing"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/lambda"
)

// Whatever comes, a function answers or says what is wrong; it never panics, which would end the
// process.
func FuzzEvents(f *testing.F) {
	for _, event := range []string{
		`{}`, `null`, `[]`, `"x"`, `{"part":0,"parts":4,"limit":1,"for":"1s"}`, `{"parts":-1}`,
		`{"Records":[{"messageId":"m","eventSource":"aws:sqs","eventSourceARN":"arn:aws:sqs:r:1:q.fifo","body":"{\"id\":\"job-1\"}","attributes":{"MessageGroupId":"g"}}]}`,
		`{"Records":[{"messageId":"m","eventSource":"aws:sqs","body":"e30=","messageAttributes":{"base64encoded":{"stringValue":"true","dataType":"String"}}}]}`,
		`{"Records":[{"messageId":"m","eventSource":"aws:sqs","body":"{\"Type\":\"Notification\",\"MessageId\":\"n\",\"TopicArn\":\"a\",\"Timestamp\":\"t\",\"Message\":\"m\"}"}]}`,
		v2("GET", "/a%2Fb", "x=y", iam, `,"body":"e30=","isBase64Encoded":true,"cookies":["a=b"]`),
		`{"httpMethod":"POST","path":"/x","multiValueHeaders":{"a":["b"]},"requestContext":{"stage":"x"}}`,
	} {
		f.Add(event)
	}
	reg := functions.NewRegistry()
	f.Fuzz(func(t *testing.T, event string) {
		if !json.Valid([]byte(event)) {
			return // Lambda passes on JSON only
		}
		w := newWorld(t, reg, functions.Config{})
		echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Path", r.URL.EscapedPath())
			_, _ = io.Copy(w, r.Body)
		})
		for _, h := range []lambda.Handler{
			w.execute(t, nil), w.submits(t, nil), made(t)(lambda.Sweep(w.Runtime, nil)), made(t)(lambda.HTTP(echo)), made(t)(lambda.Stream(echo)),
		} {
			answer, err := h(t.Context(), json.RawMessage(event))
			if r, ok := answer.(io.ReadCloser); ok {
				_, _ = io.Copy(io.Discard, r)
				_ = r.Close()
			} else if _, jerr := json.Marshal(answer); err == nil && jerr != nil {
				t.Errorf("event = %s, JSON error = %v; want an error or no JSON error", event, jerr)
			}
		}
	})
}
