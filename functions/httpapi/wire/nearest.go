package wire

import "strings"

// Nearest returns the candidate that a misspelt name most likely means, or "" if none is within a third of its
// length in edits.
func Nearest(name string, candidates []string) string {
	best, least := "", len(name)/3+2
	for _, c := range candidates {
		if d := editDistance(strings.ToLower(name), strings.ToLower(c)); d < least && d < max(len(c), 2) {
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

// editDistance counts the bytes to insert, delete, replace or swap with their neighbour to make a into b ("optimal
// string alignment"): a swap is the commonest slip of a keyboard. Three rows of the table are kept.
func editDistance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j]+cost, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
