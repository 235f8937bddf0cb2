package blobout

import (
	"fmt"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	longestName = 255
	// longestSegment leaves room on file systems, which allow 255, for a part number and for what gocloud adds to the
	// name of an unfinished file.
	longestSegment = 200
)

// CheckName says whether name can be the name of an output: 1 to 255 bytes of valid UTF-8 without control characters,
// not beginning or ending with a space, in which "/" makes folders; no "..", no folder or file name that is empty, "."
// or longer than 200 bytes. An error is [ErrName] and says which rule is broken.
//
// The same rules hold for every bucket, so that a job that runs on a laptop runs in a cloud.
func CheckName(name string) error {
	if rule := brokenRule(name); rule != "" {
		return fmt.Errorf("blobout: %w %.80q: %s", ErrName, name, rule)
	}
	return nil
}

func brokenRule(name string) string {
	switch {
	case name == "":
		return "it is empty"
	case len(name) > longestName:
		return fmt.Sprintf("it is %d bytes long, the most is %d", len(name), longestName)
	case !utf8.ValidString(name):
		return "it is not valid UTF-8"
	case strings.ContainsFunc(name, unicode.IsControl):
		return "it contains a control character"
	case strings.TrimSpace(name) != name:
		return "it begins or ends with a space"
	case strings.HasPrefix(name, "/"):
		return `it begins with "/"`
	case strings.HasSuffix(name, "/"):
		return `it ends with "/"`
	case strings.Contains(name, ".."):
		return `it contains ".."`
	}
	for segment := range strings.SplitSeq(name, "/") {
		switch {
		case segment == "":
			return `it contains "//"`
		case segment == ".":
			return `it contains "." as a folder or file`
		case len(escapeSegment(segment, true)) > longestSegment:
			return fmt.Sprintf("the folder or file name %.20q... is longer than %d bytes", segment, longestSegment)
		}
	}
	return ""
}

// checkSegment says whether s can stand between two slashes of a key as it is.
func checkSegment(what, s string) error {
	if rule := brokenRule(s); rule != "" {
		return fmt.Errorf("blobout: %w: %s %.80q: %s", ErrName, what, s, rule)
	}
	if strings.ContainsAny(s, "/%\\") || escapeSegment(s, true) != s {
		return fmt.Errorf("blobout: %w: %s %.80q: it cannot stand in a key unescaped", ErrName, what, s)
	}
	return nil
}

// escape makes the last part of a key from a name that has passed CheckName. Nearly every name stays as it is; gocloud
// does what else a service needs. Escaped are
//
//   - "%", so that unescape is exact, and "\", which is a separator on Windows;
//   - "__0x", with which gocloud's own escapes begin: it would escape them again, and the folder that syncFolders and
//     removeFolders look for would have another name;
//   - the dot at the end of a folder or file name, which Azure and Windows drop;
//   - the dot of a final ".part-7", so that an output is not taken for the part of another, and of a final ".attrs", which a
//     bucket in a directory keeps for itself.
func escape(name string) string {
	segments := strings.Split(name, "/")
	for i, s := range segments {
		segments[i] = escapeSegment(s, i == len(segments)-1)
	}
	return strings.Join(segments, "/")
}

// always escapes what is escaped wherever it stands.
var always = strings.NewReplacer("%", "%25", `\`, "%5C", "__0x", "_%5F0x")

func escapeSegment(s string, last bool) string {
	s = always.Replace(s)
	at := len(s) - 1
	reserved := strings.HasSuffix(s, ".")
	if strings.HasSuffix(s, ".attrs") {
		at, reserved = len(s)-len(".attrs"), true
	}
	if base, _, ok := cutPart(s); ok && last {
		at, reserved = len(base), true
	}
	if reserved {
		s = s[:at] + "%2E" + s[at+1:]
	}
	return s
}

// unescape is the reverse of escape, and says whether key can have come from it.
func unescape(key string) (string, bool) {
	name, err := url.PathUnescape(key)
	if err != nil || brokenRule(name) != "" || escape(name) != key {
		return "", false
	}
	return name, true
}

const partMark = ".part-"

// cutPart splits "march.csv.part-0007" into "march.csv" and 7.
func cutPart(key string) (base string, part int, ok bool) {
	i := strings.LastIndex(key, partMark)
	if i < 0 {
		return key, 0, false
	}
	digits := key[i+len(partMark):]
	if len(digits) == 0 || len(digits) > 9 {
		return key, 0, false
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return key, 0, false
		}
		part = 10*part + int(c-'0')
	}
	return key[:i], part, true
}
