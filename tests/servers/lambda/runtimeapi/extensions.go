package runtimeapi

import (
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"
)

// The Extensions API, version 2020-01-01, as far as extensions inside the program need it.
const (
	extensionPath     = "/2020-01-01/extension/"
	headerExtension   = "Lambda-Extension-Name"
	headerExtensionID = "Lambda-Extension-Identifier"
)

// extension is what a program has registered. A program that has one gets SIGTERM before its end.
type extension struct {
	events []string
	calls  chan struct{} // it has asked for the next event
	send   chan map[string]any
}

// serveRegister registers an extension, which must be before the program first asks for work.
func (e *environment) serveRegister(w http.ResponseWriter, r *http.Request) {
	var request struct {
		Events []string `json:"events"`
	}
	if r.Header.Get(headerExtension) == "" {
		refuse(w, http.StatusBadRequest, "Extension.InvalidExtensionName", "no header "+headerExtension)
		return
	}
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		refuse(w, http.StatusBadRequest, "InvalidRequestFormat", err.Error())
		return
	}
	if slices.Contains(request.Events, "SHUTDOWN") { // the documentation allows it to external extensions only
		refuse(w, http.StatusForbidden, "ShutdownEventNotSupportedForInternalExtension", "SHUTDOWN is for external extensions")
		return
	}
	id := uuid.NewString()
	e.mu.Lock()
	e.extensions[id] = &extension{events: request.Events, calls: make(chan struct{}, 1), send: make(chan map[string]any, 1)}
	e.mu.Unlock()
	w.Header().Set(headerExtensionID, id)
	reply(w, http.StatusOK, map[string]any{"functionName": e.fn.cfg.Name, "functionVersion": "$LATEST", "handler": "bootstrap"})
}

// serveEvent keeps an extension waiting until there is an event that it has registered for.
func (e *environment) serveEvent(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	x := e.extensions[r.Header.Get(headerExtensionID)]
	e.mu.Unlock()
	if x == nil {
		refuse(w, http.StatusForbidden, "Extension.UnknownExtensionIdentifier", r.Header.Get(headerExtensionID))
		return
	}
	select {
	case x.calls <- struct{}{}:
	default:
	}
	select {
	case event := <-x.send:
		reply(w, http.StatusOK, event)
	case <-r.Context().Done():
	}
}

// registered returns the extensions that want an event; "" stands for all.
func (e *environment) registered(event string) []*extension {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []*extension
	for _, x := range e.extensions {
		if event == "" || slices.Contains(x.events, event) {
			out = append(out, x)
		}
	}
	return out
}

// tell tells extensions of an invocation.
func (e *environment) tell(inv *invocation) {
	for _, x := range e.registered("INVOKE") {
		x.send <- map[string]any{
			"eventType": "INVOKE", "requestId": inv.id, "deadlineMs": inv.deadline.UnixMilli(), "invokedFunctionArn": e.fn.ARN(),
		}
	}
}

// await waits until the runtime and the extensions that want an event have asked for the next: then the environment has
// nothing to do.
func (e *environment) await(event string, limit time.Duration) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	waiting := []<-chan struct{}{e.calls}
	for len(waiting) > 0 {
		select {
		case <-waiting[0]:
		case <-e.process.exited:
			return false
		case <-timer.C:
			return false
		}
		if waiting[0] == e.calls { // those that were registered before the program asked for work
			for _, x := range e.registered(event) {
				waiting = append(waiting, x.calls)
			}
		}
		waiting = waiting[1:]
	}
	return true
}
