package functions

// nearest returns the candidate that a misspelt name most likely means, or "" if none is near: within a third of
// its length in edits.
func nearest(name string, candidates []string) string {
	best, least := "", len(name)/3+2
	for _, c := range candidates {
		if d := editDistance(name, c); d < least && d < max(len(c), 2) {
			best, least = c, d
		}
	}
	return best
}

// editDistance is Levenshtein's distance in bytes (Wagner and Fischer, "The String-to-String Correction Problem",
// 1974), with one row of the table kept.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
