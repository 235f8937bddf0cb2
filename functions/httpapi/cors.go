package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// CheckOrigins returns what is wrong with Options.Origins, or nil.
func CheckOrigins(origins []string) error {
	var errs []error
	for _, o := range origins {
		u, err := url.Parse(o)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || o != strings.ToLower(u.Scheme+"://"+u.Host) ||
			u.Scheme == "http" && u.Port() == "80" || u.Scheme == "https" && u.Port() == "443" {
			errs = append(errs, fmt.Errorf("origin %.100q: write it as browsers send it, as in https://console.example.com or "+
				"http://localhost:3000: in lower case, without a path, and without the scheme's own port", o))
		}
	}
	return errors.Join(errs...)
}

// What pages of Options.Origins may send, and read of an answer beside its body.
const (
	corsMethods = "GET, HEAD, POST, DELETE"
	corsSent    = "Authorization, Content-Type, Idempotency-Key, If-None-Match, If-Range, Range, Traceparent, Tracestate, X-Request-ID"
	corsRead    = "Content-Disposition, Content-Range, ETag, Location, Retry-After, WWW-Authenticate, X-Request-ID"
	corsMaxAge  = "600" // seconds that a browser may keep the answer to a preflight
)

// cors lets a page of Options.Origins read the answer, and reports whether the request is a preflight of such a page,
// which is then answered. A preflight bears no token. Access-Control-Allow-Credentials stays out: pages send the token in
// Authorization, and cookies are not wanted.
func (a *API) cors(w http.ResponseWriter, r *http.Request) bool {
	if len(a.opts.Origins) == 0 {
		return false
	}
	header := w.Header()
	header.Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	if !slices.Contains(a.opts.Origins, origin) {
		return false
	}
	header.Set("Access-Control-Allow-Origin", origin)
	header.Set("Access-Control-Expose-Headers", corsRead)
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	header.Set("Access-Control-Allow-Methods", corsMethods)
	header.Set("Access-Control-Allow-Headers", corsSent)
	header.Set("Access-Control-Max-Age", corsMaxAge)
	w.WriteHeader(http.StatusNoContent)
	return true
}
