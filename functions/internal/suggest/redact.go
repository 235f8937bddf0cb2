package suggest

import "strings"

// Redact returns a URL without its user, password and parameters, for logs and errors. It hides them in mistyped URLs
// too: with one slash, or with a slash, a question mark or a sharp in the password.
func Redact(rawURL string) string {
	scheme, rest, ok := strings.Cut(rawURL, ":")
	if !ok || scheme == "" || strings.ContainsAny(scheme, "/?#@ ") {
		return "(malformed)"
	}
	scheme = strings.ToLower(scheme) + ":"
	if strings.HasPrefix(rest, "//") {
		scheme, rest = scheme+"//", rest[2:]
	}
	if place, query, ok := strings.Cut(rest, "?"); ok {
		rest = place
		// No parameter has an "@" in its name: what looks like one is the rest of a password.
		name, _, _ := strings.Cut(query, "=")
		if at := strings.LastIndexByte(name, '@'); at >= 0 {
			rest, _, _ = strings.Cut(name[at+1:], "?")
		}
	}
	// An "@" behind a slash may be part of a path, but not if there is a colon before it.
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		if before := rest[:at]; strings.Contains(before, ":") || !strings.Contains(before, "/") {
			rest = rest[at+1:]
		}
	}
	return scheme + rest
}
