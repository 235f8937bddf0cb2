package functions

import "github.com/hbollon/go-edlib"

// nearest returns the candidate that a misspelt name most likely means, or "" if none is near: within a third of
// its length in edits. A name that is longer than any can be is not compared, which would take memory for the product of
// the lengths.
func nearest(name string, candidates []string) string {
	if len(name) > 512 {
		return ""
	}
	best, least := "", len(name)/3+2
	for _, c := range candidates {
		if d := edlib.OSADamerauLevenshteinDistance(name, c); d < least && d < max(len(c), 2) {
			best, least = c, d
		}
	}
	return best
}
