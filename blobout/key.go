package blobout

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

const (
	root        = "jobs/"
	attemptMark = "a-"
	payloadMark = "p-"
	rawMark     = "raw-"
)

// Prefix is where everything of a record lies.
func Prefix(id string) string { return root + id + "/" }

// AttemptPrefix is where the files of one attempt lie.
func AttemptPrefix(id, token string) string { return Prefix(id) + attemptMark + token + "/" }

// IsPayload reports whether the key names a payload of the record, as Put makes it.
func IsPayload(id, key string) bool { return strings.HasPrefix(key, Prefix(id)+payloadMark) }

// File is what the key of an attempt's file says.
type File struct {
	ID, Token string
	Name      string // of the output
	Part      int    // 0: the output in one piece
}

// ParseKey reads the key of an attempt's file; ok is false for other keys.
func ParseKey(key string) (f File, ok bool) {
	rest, ok := strings.CutPrefix(key, root)
	if !ok {
		return File{}, false
	}
	f.ID, rest, ok = strings.Cut(rest, "/"+attemptMark)
	if !ok || checkSegment("id", f.ID) != nil {
		return File{}, false
	}
	f.Token, rest, ok = strings.Cut(rest, "/")
	if !ok || checkSegment("token", f.Token) != nil {
		return File{}, false
	}
	if base, part, isPart := cutPart(rest); isPart {
		rest, f.Part = base, part
	}
	f.Name, ok = unescape(rest)
	if again, err := fileKey(f); !ok || err != nil || again != key {
		return File{}, false
	}
	return f, true
}

// fileKey is the reverse of ParseKey. It checks all that the key is made of.
func fileKey(f File) (string, error) {
	if err := checkSegment("id", f.ID); err != nil {
		return "", err
	}
	if err := checkSegment("token", f.Token); err != nil {
		return "", err
	}
	if err := CheckName(f.Name); err != nil {
		return "", err
	}
	key := AttemptPrefix(f.ID, f.Token) + escape(f.Name)
	switch {
	case f.Part < 0 || f.Part > 999_999_999:
		return "", fmt.Errorf("blobout: output %q: part %d is out of range", f.Name, f.Part)
	case f.Part > 0:
		key += fmt.Sprintf("%s%04d", partMark, f.Part)
	}
	return key, nil
}

// Part is a blob, as records list it: the whole of an output or payload, or a piece of it.
type Part struct {
	Key    string `json:"key"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256,omitempty"` // lower-case hex; empty if it is not known
}

func checksum(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
