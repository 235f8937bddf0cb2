package pubsubq

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/hbollon/go-edlib"
)

// CheckText returns an error if encoding/json would read other text from JSON data than the sender
// wrote. It replaces bytes that are not UTF-8, and halves of surrogate pairs such as "\ud800", by
// U+FFFD, which can make two keys equal. Values of members named in raw may have such halves, at
// any depth, because they are stored as they are. Data that are not JSON are no error here: their
// parser finds that.
func CheckText(data []byte, raw ...string) error {
	if !utf8.Valid(data) {
		return errors.New("it is not valid UTF-8")
	}
	if !bytes.Contains(data, []byte(`\u`)) {
		return nil
	}
	d := jsontext.NewDecoder(bytes.NewReader(data), jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))
	for {
		if d.PeekKind() != '"' {
			if _, err := d.ReadToken(); err != nil {
				return nil //nolint:nilerr // the end, or no JSON
			}
			continue
		}
		value, err := d.ReadValue()
		if err != nil {
			return nil //nolint:nilerr // no JSON
		}
		text, err := jsontext.AppendUnquote(nil, value)
		if err != nil {
			return fmt.Errorf("the text %s has half of a surrogate pair, which is no character", excerpt(value))
		}
		isName := false
		if kind, length := d.StackIndex(d.StackDepth()); kind == '{' {
			isName = length%2 == 1
		}
		if isName && slices.Contains(raw, string(text)) {
			if err := d.SkipValue(); err != nil {
				return nil //nolint:nilerr // no JSON
			}
		}
	}
}

// CheckNames returns an error if an object in JSON data has two members of one name, or of names that
// differ in case only. encoding/json takes the last of them, and another reader may take the first.
// It does not look into the values of members named in raw. Data that are not JSON are no error
// here: their parser finds that.
func CheckNames(data []byte, raw ...string) error {
	d := jsontext.NewDecoder(bytes.NewReader(data), jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))
	var seen []map[string]string // for each open object or array, the names so far
	for {
		token, err := d.ReadToken()
		if err != nil {
			return nil //nolint:nilerr // the end, or no JSON
		}
		depth := d.StackDepth()
		seen = seen[:min(len(seen), depth)]
		if kind, length := d.StackIndex(depth); kind != '{' || length%2 == 0 {
			continue // no name
		}
		for len(seen) < depth {
			seen = append(seen, nil)
		}
		if seen[depth-1] == nil {
			seen[depth-1] = map[string]string{}
		}
		name := token.String()
		folded := strings.ToLower(strings.ToUpper(name)) // as encoding/json matches names with fields
		switch before, ok := seen[depth-1][folded]; {
		case ok && before == name:
			return fmt.Errorf("member %.40q is given twice", name)
		case ok:
			return fmt.Errorf("members %.40q and %.40q differ in case only: give one of them", before, name)
		}
		seen[depth-1][folded] = name
		if slices.Contains(raw, name) {
			if err := d.SkipValue(); err != nil {
				return nil //nolint:nilerr // no JSON
			}
		}
	}
}

// unknownName returns an error that names the valid name nearest to name, or all if none is near.
func unknownName(what, name string, valid []string) error {
	if len(name) <= 40 {
		near, err := edlib.FuzzySearchThreshold(strings.ToLower(name), valid, 0.6, edlib.OSADamerauLevenshtein)
		if err == nil && near != "" {
			return fmt.Errorf("unknown %s %q: did you mean %q?", what, name, near)
		}
	}
	return fmt.Errorf("unknown %s %.40q: valid are %s", what, name, strings.Join(valid, ", "))
}

// sortedKeys gives an order, so that the first of several errors is always the same.
func sortedKeys[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}
