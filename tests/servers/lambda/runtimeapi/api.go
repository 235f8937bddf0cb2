package runtimeapi

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
)

// The Runtime API, version 2018-06-01.
const (
	runtimePath     = "/2018-06-01/runtime/"
	headerID        = "Lambda-Runtime-Aws-Request-Id"
	headerDeadline  = "Lambda-Runtime-Deadline-Ms"
	headerARN       = "Lambda-Runtime-Invoked-Function-Arn"
	headerTrace     = "Lambda-Runtime-Trace-Id"
	headerErrorType = "Lambda-Runtime-Function-Error-Type" // also a trailer of a streamed answer
	headerErrorBody = "Lambda-Runtime-Function-Error-Body" // a trailer, in base64
)

// api serves the Runtime API and the Extensions API of one environment.
func (e *environment) api() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+runtimePath+"invocation/next", e.serveNext)
	mux.HandleFunc("POST "+runtimePath+"invocation/{id}/response", e.serveResponse)
	mux.HandleFunc("POST "+runtimePath+"invocation/{id}/error", e.serveError)
	mux.HandleFunc("POST "+runtimePath+"init/error", e.serveInitError)
	mux.HandleFunc("POST "+extensionPath+"register", e.serveRegister)
	mux.HandleFunc("GET "+extensionPath+"event/next", e.serveEvent)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		refuse(w, http.StatusNotFound, "InvalidPath", r.Method+" "+r.URL.Path)
	})
	return mux
}

// serveNext keeps the runtime waiting until there is work, perhaps forever.
func (e *environment) serveNext(w http.ResponseWriter, r *http.Request) {
	select {
	case e.calls <- struct{}{}:
	default: // a second call before the first was answered: one environment has one invocation
		refuse(w, http.StatusForbidden, "InvalidStateTransition", "the runtime asks for a second invocation")
		return
	}
	select {
	case inv := <-e.work:
		h := w.Header()
		h.Set("Content-Type", "application/json")
		h.Set(headerID, inv.id)
		h.Set(headerDeadline, strconv.FormatInt(inv.deadline.UnixMilli(), 10))
		h.Set(headerARN, e.fn.ARN())
		h.Set(headerTrace, "Root=1-"+inv.id[:8]+"-"+inv.id[9:13]+inv.id[14:18]+inv.id[19:23]+inv.id[24:36]+";Sampled=0")
		_, _ = w.Write(inv.payload) // if the program has died meanwhile, the waiter finds out
	case <-r.Context().Done():
	}
}

// serveResponse takes an answer, kept or streamed.
func (e *environment) serveResponse(w http.ResponseWriter, r *http.Request) {
	inv := e.match(w, r)
	if inv == nil {
		return
	}
	defer inv.writers.Done()
	var result Result
	var err error
	if inv.stream == nil {
		result.Payload, err = io.ReadAll(io.LimitReader(r.Body, MaxPayload+1))
	} else {
		inv.stream.head(r.Header)
		_, err = io.Copy(inv.stream, r.Body)
	}
	switch {
	case err != nil:
		return // the program died, which its environment notices
	case inv.lose:
		inv.answered <- struct{}{}
		<-r.Context().Done() // until it is killed
		return
	case len(result.Payload) > MaxPayload:
		e.fn.count(func(s *Stats) { s.Errors++ })
		inv.finish(unhandled("Function.ResponseSizeTooLarge", fmt.Sprintf(
			"Response payload size exceeded maximum allowed payload size (%d bytes).", MaxPayload)))
		refuse(w, http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", "Exceeded maximum allowed payload size")
		return
	case r.Trailer.Get(headerErrorType) != "":
		result.FunctionError = "Unhandled"
		if result.Payload, err = base64.StdEncoding.DecodeString(r.Trailer.Get(headerErrorBody)); err != nil {
			result = unhandled(r.Trailer.Get(headerErrorType), err.Error())
		}
		e.fn.count(func(s *Stats) { s.Errors++ })
	}
	inv.finish(result)
	accept(w)
}

// serveError takes an error that the function reports.
func (e *environment) serveError(w http.ResponseWriter, r *http.Request) {
	inv := e.match(w, r)
	if inv == nil {
		return
	}
	defer inv.writers.Done()
	body, err := io.ReadAll(io.LimitReader(r.Body, MaxPayload))
	if err != nil {
		return
	}
	e.fn.count(func(s *Stats) { s.Errors++ })
	inv.finish(Result{FunctionError: "Unhandled", Payload: body})
	accept(w)
}

// serveInitError takes the error of a program that cannot start.
func (e *environment) serveInitError(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, MaxPayload))
	if err != nil {
		return
	}
	select {
	case e.initErr <- Result{FunctionError: "Unhandled", Payload: body}:
		accept(w)
	default:
		refuse(w, http.StatusForbidden, "InvalidStateTransition", "the start has failed already")
	}
}

// match returns the invocation that a request speaks of, or refuses the request. The caller calls writers.Done.
func (e *environment) match(w http.ResponseWriter, r *http.Request) *invocation {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.current == nil || e.current.id != r.PathValue("id") || e.current.ended() {
		refuse(w, http.StatusBadRequest, "InvalidRequestID", "no invocation "+r.PathValue("id")+" is under way")
		return nil
	}
	e.current.writers.Add(1)
	return e.current
}

func accept(w http.ResponseWriter) {
	reply(w, http.StatusAccepted, map[string]any{"status": "OK"})
}

func refuse(w http.ResponseWriter, status int, kind, text string) {
	reply(w, status, map[string]any{"errorType": kind, "errorMessage": text})
}

// reply answers with JSON. A program that has died meanwhile is noticed elsewhere.
func reply(w http.ResponseWriter, status int, v map[string]any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err) // texts, numbers, and maps of them
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
