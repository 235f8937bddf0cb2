package runtimeapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
)

// integration is the content type of a stream that begins with the head of the HTTP answer, in JSON, and eight zeros.
const integration = "application/vnd.awslambda.http-integration-response"

var errPrelude = errors.New("the stream does not begin with the head of an HTTP answer, in JSON, and eight zeros")

// streamed passes a streamed answer on while it comes.
type streamed struct {
	to      http.ResponseWriter
	prelude bool
	held    []byte // what has come of the prelude
	begun   bool
}

// head reads the headers of the runtime's request.
func (s *streamed) head(h http.Header) { s.prelude = h.Get("Content-Type") == integration }

// Write passes a piece on.
func (s *streamed) Write(p []byte) (int, error) {
	n := len(p)
	if s.prelude {
		s.held = append(s.held, p...)
		head, rest, complete := bytes.Cut(s.held, make([]byte, 8))
		if !complete {
			if len(s.held) > 1<<20 {
				return 0, errPrelude
			}
			return n, nil
		}
		if err := s.begin(head); err != nil {
			return 0, err
		}
		s.prelude, s.held, p = false, nil, rest
	} else if !s.begun {
		writeHead(s.to, http.StatusOK, map[string]string{"Content-Type": "application/octet-stream"}, nil)
		s.begun = true
	}
	if _, err := s.to.Write(p); err != nil {
		return n, nil //nolint:nilerr // the client went away, which does not end an invocation
	}
	if f, ok := s.to.(http.Flusher); ok {
		f.Flush()
	}
	return n, nil
}

// begin writes the head of the HTTP answer.
func (s *streamed) begin(head []byte) error {
	var answer struct {
		StatusCode int               `json:"statusCode"`
		Headers    map[string]string `json:"headers"`
		Cookies    []string          `json:"cookies"`
	}
	if err := json.Unmarshal(head, &answer); err != nil || answer.StatusCode == 0 {
		return errPrelude
	}
	writeHead(s.to, answer.StatusCode, answer.Headers, answer.Cookies)
	s.begun = true
	return nil
}

// end completes an answer that has an end and nothing else.
func (s *streamed) end() {
	if !s.begun {
		writeHead(s.to, http.StatusOK, nil, nil)
	}
}
