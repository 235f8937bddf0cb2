package lambda

import "strconv"

// slowly is gocloud.dev/internal/escape.HexUnescape, which nobody else may import, rune by rune as
// there.
func slowly(s string) string {
	runes := []rune(s)
	var out []rune
	changed := false
	for i := 0; i < len(runes); i++ {
		if char, last, ok := escapeAt(runes, i); ok {
			out, i, changed = append(out, char), last, true
			continue
		}
		out = append(out, runes[i])
	}
	if !changed {
		return s
	}
	return string(out)
}

func escapeAt(r []rune, i int) (char rune, last int, ok bool) {
	for _, want := range "__0x" {
		if i >= len(r) || r[i] != want {
			return 0, 0, false
		}
		i++
	}
	begin := i
	for i < len(r) && r[i] != '_' {
		i++
	}
	if i+1 >= len(r) || r[i+1] != '_' {
		return 0, 0, false
	}
	n, err := strconv.ParseInt(string(r[begin:i]), 16, 32)
	return rune(n), i + 1, err == nil
}
