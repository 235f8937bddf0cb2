package lambda

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/httpapi/wire"
)

// maxAnswer is the longest answer of a function that does not stream, as JSON.
const maxAnswer = 6 << 20

// recorder keeps an answer.
type recorder struct {
	header http.Header
	sent   http.Header // as it was at WriteHeader
	status int
	body   bytes.Buffer
	head   bool
	over   int64 // more than this many bytes, which is too long
}

var errTooLong = errors.New("the answer is too long for a function that does not stream")

// Header gives the header to write to.
func (w *recorder) Header() http.Header { return w.header }

// WriteHeader keeps the status.
func (w *recorder) WriteHeader(status int) {
	if w.status != 0 || status < http.StatusOK {
		return
	}
	w.status, w.sent = status, w.header.Clone()
	if n, err := strconv.ParseInt(w.header.Get("Content-Length"), 10, 64); err == nil && n > maxAnswer && !w.head {
		w.over = n
	}
}

// Write keeps a part of the body, unless it becomes too long.
func (w *recorder) Write(p []byte) (int, error) {
	if w.status == 0 {
		if w.header.Get("Content-Type") == "" && len(p) > 0 {
			w.header.Set("Content-Type", http.DetectContentType(p))
		}
		w.WriteHeader(http.StatusOK)
	}
	switch n := int64(w.body.Len() + len(p)); {
	case w.head:
		return len(p), nil
	case w.over == 0 && n > maxAnswer:
		w.over = n
	}
	if w.over > 0 {
		return 0, errTooLong
	}
	return w.body.Write(p)
}

// refuse answers with a problem instead.
func (w *recorder) refuse(p *wire.Problem) {
	text, err := json.Marshal(p)
	if err != nil {
		text = []byte(`{"title":"Internal Server Error","status":500}`)
	}
	kept := w.sent.Get("X-Request-ID")
	*w = recorder{header: http.Header{"Content-Type": {wire.ProblemType}, "Cache-Control": {"no-store"}}}
	if kept != "" {
		w.header.Set("X-Request-ID", kept)
	}
	w.WriteHeader(p.Status)
	_, _ = w.Write(text) // into memory
}

// tooLong says what to do about an answer of at least n bytes.
func tooLong(n int64) *wire.Problem {
	p := wire.NewProblem(http.StatusRequestEntityTooLarge, fmt.Sprintf("the answer has %d bytes or more, and a Lambda function "+
		"returns at most 6 MB in one piece, as JSON. Ask for a part of it: an output with the header Range: bytes=0-3999999 "+
		"and so on. Or let the function stream: set PIECEWORK_STREAM=true and the invoke mode of "+
		"its URL to RESPONSE_STREAM. Or fetch the output from the bucket", n))
	p.Code = functions.ErrorCode(functions.ErrTooLarge)
	return p
}

// brokenOff says that an answer could not be finished.
func brokenOff() *wire.Problem {
	return wire.NewProblem(http.StatusBadGateway, "the answer could not be completed; the log says why")
}

// answer returns the answer in the form that AWS takes: of payload 1.0 if old is set, and else of
// 2.0.
func (w *recorder) answer(old bool) any {
	if w.over > 0 {
		w.refuse(tooLong(w.over))
	}
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	body, encoded := w.body.String(), false
	long := len(body) >= maxAnswer/8 // no byte becomes more than six in JSON
	if !utf8.ValidString(body) || long && len(inJSON(body)) > base64.StdEncoding.EncodedLen(len(body)) {
		body, encoded = base64.StdEncoding.EncodeToString(w.body.Bytes()), true
	}
	if !w.head {
		w.sent.Del("Content-Length") // AWS sets it
	}
	var a any
	if old {
		a = events.APIGatewayProxyResponse{StatusCode: w.status, MultiValueHeaders: w.sent, Body: body, IsBase64Encoded: encoded}
	} else {
		joined := make(map[string]string, len(w.sent))
		for name, values := range w.sent {
			if name != "Set-Cookie" {
				joined[name] = strings.Join(values, ", ")
			}
		}
		a = events.LambdaFunctionURLResponse{
			StatusCode: w.status, Headers: joined, Body: body, IsBase64Encoded: encoded, Cookies: w.sent["Set-Cookie"],
		}
	}
	if !long {
		return a
	}
	text := inJSON(a)
	if text == nil || len(text) > maxAnswer {
		w.refuse(tooLong(int64(w.body.Len())))
		return w.answer(old)
	}
	return json.RawMessage(text)
}

// inJSON returns a value as aws-lambda-go writes it, or nil if it cannot be written.
func inJSON(v any) []byte {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil
	}
	return text.Bytes()
}
