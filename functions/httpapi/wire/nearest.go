package wire

import (
	"strings"

	"github.com/hbollon/go-edlib"
)

// maxName is the longest name that is compared with others. Comparing takes memory for the product of the lengths.
const maxName = 512

// Nearest returns the candidate that a misspelt name most likely means, or "" if none is within a third of its
// length in edits, or if the name is longer than any name can be.
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

// Unknown says that a name is not known: with the nearest that is, or all of them.
func Unknown(what, name string, candidates []string) string {
	if near := Nearest(name, candidates); near != "" {
		return "unknown " + what + " " + quote(name) + "; did you mean " + quote(near) + "?"
	}
	if len(candidates) == 0 {
		return "unknown " + what + " " + quote(name) + "; none can be given here"
	}
	return "unknown " + what + " " + quote(name) + "; known are " + strings.Join(candidates, ", ")
}

// quote puts a name in quotes, shortened if it is absurdly long.
func quote(name string) string { return `"` + Shorten(name, 60) + `"` }

// Shorten returns the first bytes of a text, most at most and no half characters, and an ellipsis if that is not all.
func Shorten(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}
