package wire

import "strings"

// Redact is a URL without what may be secret in it, which are its user, its password and its parameters, fit for logs and
// errors. It hides them also in a URL that is mistyped so that nothing else would take them for what they are: with one
// slash, or with a slash, a question mark or a sharp in the password.
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
