// Package suggest words errors about names and addresses: the known name that a misspelt one most likely means, and
// URLs without their secrets.
package suggest

import (
	"fmt"
	"strings"

	"github.com/hbollon/go-edlib"
)

// maxName is the longest name that is compared. A comparison takes memory for the product of the lengths.
const maxName = 512

// Nearest returns the candidate that a misspelt name most likely means, whatever its case, or "" if none is within a
// third of the name's length in edits.
func Nearest(name string, candidates []string) string {
	if len(name) > maxName {
		return ""
	}
	best, least := "", len(name)/3+2
	for _, c := range candidates {
		if d := edlib.OSADamerauLevenshteinDistance(strings.ToLower(name), strings.ToLower(c)); d < least && d < max(len(c), 2) {
			best, least = c, d
		}
	}
	return best
}

// Unknown says that a name is unknown, and names the nearest candidate, or all of them if none is near.
func Unknown(what, name string, candidates []string) string {
	switch near := Nearest(name, candidates); {
	case near != "":
		return fmt.Sprintf("unknown %s %.60q; did you mean %q?", what, name, near)
	case len(candidates) == 0:
		return fmt.Sprintf("unknown %s %.60q; none can be given here", what, name)
	default:
		return fmt.Sprintf("unknown %s %.60q; known are %s", what, name, strings.Join(candidates, ", "))
	}
}

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
