package functions

import "github.com/piecework/piecework/functions/internal/suggest"

// NearestName returns the candidate that a misspelt name most likely means, whatever its case, or "" if none is near.
func NearestName(name string, candidates []string) string { return suggest.Nearest(name, candidates) }

// UnknownName says that a name is unknown, and names the nearest candidate, or all of them if none is near. What is the
// noun: "flag", "environment variable".
func UnknownName(what, name string, candidates []string) string {
	return suggest.Unknown(what, name, candidates)
}

// RedactURL returns a URL without its user, password and parameters, for logs and errors. It hides them in mistyped URLs
// too.
func RedactURL(url string) string { return suggest.Redact(url) }
