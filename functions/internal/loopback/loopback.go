// Package loopback keeps a server that does not know its callers to the machine that it runs on: it listens on loopback
// addresses only, and answers only what comes from one, and to a name that can only be this machine. The last keeps out
// web pages that point a name of their own at 127.0.0.1.
package loopback

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/httpapi/wire"
)

// Rule is a server's rule in words, as its errors have it.
type Rule struct {
	Form   string // how to write an address, as in "as in 127.0.0.1:7433"
	Listen string // what is wrong with an address that others can reach
	From   string // what is wrong with a request of another machine
	Name   string // why the server answers to the names of this machine only, as in "this server has no tokens, so it"
}

// Open listens on an address. If only this machine may call, it refuses one that others can reach. What is wrong with
// the address is functions.ErrConfig.
func (u Rule) Open(ctx context.Context, addr string, only bool) (net.Listener, error) {
	if err := u.Address(addr, only); err != nil {
		return nil, err
	}
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	if at, ok := ln.Addr().(*net.TCPAddr); only && (!ok || !at.IP.IsLoopback()) {
		_ = ln.Close() // localhost can be any address in /etc/hosts
		return nil, fmt.Errorf("%w: address %q is %v here, which is not loopback", functions.ErrConfig, addr, ln.Addr())
	}
	return ln, nil
}

// Address is what Open says of an address by its text alone.
func (u Rule) Address(addr string, only bool) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("%w: address %q: write it as host:port, %s", functions.ErrConfig, addr, u.Form)
	}
	if only && !isHost(host) {
		return fmt.Errorf("%w: address %q: %s", functions.ErrConfig, addr, u.Listen)
	}
	return nil
}

// Check refuses a request that does not come from this machine, or that was sent to a name that somebody else gave it.
func (u Rule) Check(r *http.Request) *wire.Problem {
	if from, err := netip.ParseAddrPort(r.RemoteAddr); err != nil || !from.Addr().Unmap().IsLoopback() {
		return wire.NewProblem(http.StatusForbidden, u.From)
	}
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	if !isHost(host) {
		return wire.NewProblem(http.StatusMisdirectedRequest, fmt.Sprintf("%s answers to the names localhost, 127.0.0.1 and [::1] only, not to %.100q",
			u.Name, r.Host))
	}
	return nil
}

// isHost reports whether a host name or address can only be this machine.
func isHost(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && addr.Unmap().IsLoopback()
}
