package cloudrun

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/piecework/piecework/functions/httpapi/wire"
)

// authorize refuses requests of those that may not push, send events or have it sweep.
func (s *Server) authorize(w http.ResponseWriter, r *http.Request) *wire.Problem {
	if err := s.origin.Check(r); err != nil {
		return wire.NewProblem(http.StatusForbidden, "a web page of another origin may not use this server from a browser")
	}
	switch {
	case s.opts.Callers.Platform:
		return nil
	case s.local():
		return checkLocal(r)
	default:
		return s.verifier.check(w, r)
	}
}

// local reports whether only this machine may call.
func (s *Server) local() bool { return !s.opts.Callers.Platform && len(s.opts.Callers.Accounts) == 0 }

// checkLocal refuses what does not come from this machine, or what was sent to a name that somebody else gave it.
func checkLocal(r *http.Request) *wire.Problem {
	if from, err := netip.ParseAddrPort(r.RemoteAddr); err != nil || !from.Addr().Unmap().IsLoopback() {
		return wire.NewProblem(http.StatusForbidden, "this server knows no accounts, so it takes messages of this machine only")
	}
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	if !loopback(host) {
		return wire.NewProblem(http.StatusMisdirectedRequest, fmt.Sprintf("this server knows no accounts, so it answers to the "+
			"names localhost, 127.0.0.1 and [::1] only, not to %.100q", r.Host))
	}
	return nil
}

// loopback reports whether a host name or address can only be this machine.
func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && addr.Unmap().IsLoopback()
}
