package cloudrun

import (
	"net/http"

	"github.com/piecework/piecework/functions/httpapi/wire"
	"github.com/piecework/piecework/functions/internal/loopback"
)

// authorize refuses callers that may not push, send events or start sweeps.
func (s *Server) authorize(w http.ResponseWriter, r *http.Request) *wire.Problem {
	if err := s.origin.Check(r); err != nil {
		return wire.NewProblem(http.StatusForbidden, "a web page of another origin may not use this server from a browser")
	}
	switch {
	case s.opts.Callers.Platform:
		return nil
	case s.local():
		return withoutAccounts.Check(r)
	default:
		return s.verifier.check(w, r)
	}
}

// local reports whether only this machine may call.
func (s *Server) local() bool { return s.opts.Callers.local() }

// withoutAccounts is the rule for a server that everybody on this machine may call.
var withoutAccounts = loopback.Rule{
	Form: "as in 127.0.0.1:8080, or :8080 for all addresses",
	Listen: "without accounts whose tokens are checked the server listens on 127.0.0.1, [::1] or localhost only, " +
		"because everybody who reaches it may start jobs",
	From: "this server knows no accounts, so it takes messages of this machine only; " +
		"start it with the accounts that may call it to use it from elsewhere",
	Name: "this server knows no accounts, so it",
}
