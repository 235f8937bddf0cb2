package pubsubq

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hbollon/go-edlib"
)

// unknownName refuses a name, and says which one was probably meant.
func unknownName(what, name string, valid []string) error {
	best, distance := "", len(name)
	for _, v := range valid {
		if d := edlib.OSADamerauLevenshteinDistance(strings.ToLower(name), v); d < distance {
			best, distance = v, d
		}
	}
	if best == "" || len(name) > 40 {
		return fmt.Errorf("unknown %s %.40q: valid are %s", what, name, strings.Join(valid, ", "))
	}
	return fmt.Errorf("unknown %s %q: did you mean %q?", what, name, best)
}

// sortedKeys makes the first error of several always the same one.
func sortedKeys[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}
