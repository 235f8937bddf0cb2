// Package loopback keeps a server that does not know its callers to the machine that it runs on: it listens on loopback
// addresses only, and answers only what comes from one, through no proxy, and to a name that can only be this machine. The
// last keeps out web pages that point a name of their own at 127.0.0.1. What a browser sends for another page is refused
// too, also what only reads.
package loopback

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
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

// Check refuses a request that does not come from this machine, that came through a proxy, that was sent to a name which
// can be another machine's, or that a browser sends for a page of another origin than those that are allowed.
func (u Rule) Check(r *http.Request, allowed ...string) *wire.Problem {
	if from, err := netip.ParseAddrPort(r.RemoteAddr); err != nil || !from.Addr().Unmap().IsLoopback() {
		return wire.NewProblem(http.StatusForbidden, u.From)
	}
	if name := proxied(r.Header); name != "" {
		return wire.NewProblem(http.StatusForbidden, fmt.Sprintf("the header %s says that this request came through a proxy, so it may be "+
			"of another machine: %s; a client on this machine must ask without the proxy", name, u.From))
	}
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	if !isHost(host) {
		return wire.NewProblem(http.StatusMisdirectedRequest, fmt.Sprintf("%s answers to the names localhost, 127.0.0.1 and [::1] only, not to %.100q",
			u.Name, r.Host))
	}
	if !slices.Contains(allowed, r.Header.Get("Origin")) && foreign(r) {
		return wire.NewProblem(http.StatusForbidden, "a web page of another origin may not use this server from a browser, not even to read")
	}
	return nil
}

// proxied returns the name of a header that only proxies set, or "".
func proxied(header http.Header) string {
	for _, name := range slices.Sorted(maps.Keys(header)) {
		switch name {
		case "Forwarded", "Via", "X-Real-Ip", "X-Client-Ip", "X-Cluster-Client-Ip", "X-Original-Host", "X-Envoy-External-Address",
			"Cf-Connecting-Ip", "True-Client-Ip", "Fastly-Client-Ip":
			return name
		}
		if strings.HasPrefix(name, "X-Forwarded") {
			return name
		}
	}
	return ""
}

// origin tells requests of other origins' pages.
var origin = http.NewCrossOriginProtection()

// foreign reports whether a browser sent a request for a page of another origin. It may follow a link of one, because
// the page cannot see what comes of that.
func foreign(r *http.Request) bool {
	if r.Method == http.MethodGet && r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document" {
		return false
	}
	writes := *r
	writes.Method = http.MethodPost // reads always pass
	return origin.Check(&writes) != nil
}

// isHost reports whether a host name or address can only be this machine.
func isHost(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && addr.Unmap().IsLoopback()
}
