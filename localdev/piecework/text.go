package main

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Text in records and errors may come from anybody. A terminal obeys some characters and does not show others, so that
// a text could be made to look like another: clean and plain take them away, and escape writes them as JSON does.

// oneLine makes a text fit a cell: clean, and without line breaks.
func oneLine(s string) string {
	return strings.Join(strings.Fields(clean(s)), " ")
}

// clean takes away what a terminal would obey, and what nobody would see.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unseen(r) && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "�"))
}

// unseen reports whether a terminal does not show a character but may obey it: controls of terminals, old and new, of
// the direction of writing, and all that has no width, other than variants of the character before.
func unseen(r rune) bool {
	return unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp, unicode.Other_Default_Ignorable_Code_Point) ||
		unicode.Is(unicode.Cf, r) && !unicode.Is(unicode.Prepended_Concatenation_Mark, r)
}

// painted are the colours that paint gives.
var painted = regexp.MustCompile(`\x1b\[(?:[0-2]|3[1-6])m`)

// plain is clean of a text with colours of this program's, which stay.
func plain(s string) string {
	at := painted.FindAllStringIndex(s, -1)
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

// escape writes characters of a JSON document that are unseen, which stand in its strings only, as \\u202e and the like.
// What is not UTF-8 becomes U+FFFD, as all readers of JSON take it.
func escape(document []byte) []byte {
	out := make([]byte, 0, len(document))
	for len(document) > 0 {
		r, n := utf8.DecodeRune(document)
		switch {
		case r == utf8.RuneError && n == 1:
			out = append(out, `\ufffd`...)
		case r < utf8.RuneSelf && r != 0x7f || !unseen(r):
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
