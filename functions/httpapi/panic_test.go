package httpapi_test

import (
	"net/http"
	"runtime"
	"testing"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/httpapi"
)

// explosive are arguments whose reading panics.
type explosive struct{}

func (*explosive) UnmarshalJSON([]byte) error { panic("boom") }

func TestArgumentsWhoseReadingPanicsAreABadRequest(t *testing.T) {
	reg := functions.NewRegistry()
	functions.Kind[explosive, int]("test.explosive").Declare(reg)
	refused(t, newDeskOf(t, reg, nil).ask(t, http.MethodPost, "/v1/jobs", `{"kind":"test.explosive","args":{}}`), http.StatusBadRequest, "panic: boom")
}

// A function that cannot tell who asks lets nobody in.
func TestAnAuthenticateThatMisbehavesLetsNobodyIn(t *testing.T) {
	for name, misbehave := range map[string]func(){"panic": func() { panic("boom") }, "Goexit": func() { runtime.Goexit() }} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, &httpapi.Options{Authenticate: func(*http.Request) (string, httpapi.Role, error) {
				misbehave()
				return "me", httpapi.Operator, nil
			}})
			refused(t, d.ask(t, http.MethodGet, "/v1/jobs", ""), http.StatusInternalServerError, "")
		})
	}
}
