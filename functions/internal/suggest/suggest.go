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
