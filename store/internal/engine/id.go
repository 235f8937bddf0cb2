package engine

import (
	"errors"
	"fmt"
)

// MaxID is the longest id of a record in bytes.
const MaxID = 200

// ErrID says that a text cannot be the id of a record. Verbs that read give it together with ErrNotFound.
var ErrID = errors.New("malformed id")

// CheckID says what is wrong with the id of a record, or nil. An id is 1 to MaxID bytes long: ASCII letters, digits
// and "-", ".", "_", ":", "~" and "@", with a letter or digit first. Every store, queue, bucket and URL takes such ids
// as they are, so no verb passes another id to a driver.
func CheckID(id string) error {
	if id == "" || len(id) > MaxID || !alphanumeric(id[0]) {
		return malformedID(id)
	}
	for i := 1; i < len(id); i++ {
		switch c := id[i]; {
		case alphanumeric(c), c == '-', c == '.', c == '_', c == ':', c == '~', c == '@':
		default:
			return malformedID(id)
		}
	}
	return nil
}

func alphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c >= 'A' && c <= 'Z'
}

func malformedID(id string) error {
	return fmt.Errorf("%w %.60q: an id has 1 to %d letters, digits, dashes, dots, underscores, colons, tildes and at signs, "+
		"and begins with a letter or digit", ErrID, id, MaxID)
}
