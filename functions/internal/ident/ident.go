// Package ident makes the ids of jobs and the digests of their arguments, for submissions and for fsck alike. Both are
// stored: a change of either would make a second job of a key that is in use.
package ident

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"
)

// form writes bits in characters that sort as the bits do and need no escaping anywhere.
var form = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)

// Of is the id of a job without a key.
func Of(u uuid.UUID) string { return "job-" + form.EncodeToString(u[:]) }

// OfKey is the id of the job with that key: the same for the same kind and key, so that creating it twice fails.
func OfKey(kind, key string) string {
	sum := sha256.Sum256([]byte(kind + "\x00" + key))
	return "job-k" + form.EncodeToString(sum[:20])
}

// Key is a key that a message or an object gives. A key that is too long, or not UTF-8, is a digest after a prefix.
func Key(prefix, key string) string {
	if len(key) <= 512 && utf8.ValidString(key) {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	return prefix + "/" + hex.EncodeToString(sum[:16])
}

// Args is the digest of arguments, which tells them apart by what they mean: the order of members and white space do
// not count. Whole numbers are compared digit by digit: RFC 8785 would round account numbers beyond 2^53.
//
// Arguments that RFC 8785 does not take, because an object has two members of a name or a text has half a surrogate pair,
// are told apart by their bytes. A record need not keep these bytes, so exact is false: the digest of what is stored may be
// another. The same holds for arguments with U+FFFD, which may stand where there was half a pair.
func Args(data []byte) (sum string, exact bool) {
	v := jsontext.Value(data).Clone()
	exact = v.Canonicalize(jsontext.CanonicalizeRawInts(false)) == nil
	if !exact {
		v = data
	}
	digest := sha256.Sum256(v)
	return hex.EncodeToString(digest[:16]), exact && !bytes.Contains(v, []byte("\uFFFD"))
}
