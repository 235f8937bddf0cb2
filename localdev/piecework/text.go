package main

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Text in records and errors is untrusted. Terminals execute some characters and hide others, so
// one text could look like another: clean and plain remove such characters, and escape writes them
// as JSON escapes.

// oneLine cleans a text and removes its line breaks.
func oneLine(s string) string {
	return strings.Join(strings.Fields(clean(s)), " ")
}

// clean removes characters that a terminal executes or hides.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if isInvisible(r) && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "�"))
}

// isInvisible reports whether a terminal executes or hides a character: control characters, marks
// of the writing direction, and characters without width, except variants of the character before.
func isInvisible(r rune) bool {
	return unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp, unicode.Other_Default_Ignorable_Code_Point) ||
		unicode.Is(unicode.Cf, r) && !unicode.Is(unicode.Prepended_Concatenation_Mark, r)
}

// painted are the colours that paint gives.
var colours = regexp.MustCompile(`\x1b\[(?:[0-2]|3[1-6])m`)

// plain is clean, but keeps this program's colours.
func plain(s string) string {
	at := colours.FindAllStringIndex(s, -1)
	if len(at) == 0 {
		return clean(s)
	}
	var b strings.Builder
	end := 0
	for _, m := range at {
		b.WriteString(clean(s[end:m[0]]))
		b.WriteString(s[m[0]:m[1]])
		end = m[1]
	}
	b.WriteString(clean(s[end:]))
	return b.String()
}

// escape writes invisible characters of a JSON document as \\u202e and the like; they occur in its
// strings only. Bytes that are not UTF-8 become U+FFFD, as every JSON reader reads them.
func escape(document []byte) []byte {
	out := make([]byte, 0, len(document))
	for len(document) > 0 {
		r, n := utf8.DecodeRune(document)
		switch {
		case r == utf8.RuneError && n == 1:
			out = append(out, `\ufffd`...)
		case r < utf8.RuneSelf && r != 0x7f || !isInvisible(r):
			out = append(out, document[:n]...)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
		document = document[n:]
	}
	return out
}
