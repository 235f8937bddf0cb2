package pubsubq

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// unknownName refuses a name, and says which are valid.
func unknownName(what, name string, valid []string) error {
	return fmt.Errorf("unknown %s %.40q: valid are %s", what, name, strings.Join(valid, ", "))
}

// sortedKeys makes the first error of several always the same one.
func sortedKeys[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}
