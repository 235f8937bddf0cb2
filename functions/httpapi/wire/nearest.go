package wire

import (
	"strings"

	"github.com/hbollon/go-edlib"
)

// Nearest returns the candidate that a misspelt name most likely means, or "" if none is within a third of its
// length in edits.
func Nearest(name string, candidates []string) string {
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
func quote(name string) string {
	if len(name) > 60 {
		name = strings.ToValidUTF8(name[:60], "") + "…"
	}
	return `"` + name + `"`
}
