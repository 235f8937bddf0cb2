package pubsubq

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// unknownName refuses a name, and says which one was probably meant.
func unknownName(what, name string, valid []string) error {
	best, distance := "", len(name)
	for _, v := range valid {
		if d := editDistance(strings.ToLower(name), v); d < distance {
			best, distance = v, d
		}
	}
	if best == "" || len(name) > 40 {
		return fmt.Errorf("unknown %s %.40q: valid are %s", what, name, strings.Join(valid, ", "))
	}
	return fmt.Errorf("unknown %s %q: did you mean %q?", what, name, best)
}

// editDistance counts the bytes to insert, delete or replace to make a into b.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		corner := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := corner
			if a[i] != b[j] {
				cost = 1 + min(corner, row[j], row[j+1])
			}
			corner, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}

// sortedKeys makes the first error of several always the same one.
func sortedKeys[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}
