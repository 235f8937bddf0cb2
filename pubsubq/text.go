package pubsubq

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// CheckText says why encoding/json would read other texts from JSON data than their sender wrote, or nil: it puts U+FFFD
// in place of bytes that are not UTF-8, and of "\ud800" and the like, which are halves of characters. Two keys could
// become one that way. The values of members with the names in raw are not looked into for halves, at any depth: they are
// kept as they were written. Data that are not JSON are left to those who parse them.
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
