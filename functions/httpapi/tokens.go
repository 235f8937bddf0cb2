package httpapi

import (
	"fmt"
	"os"
	"strings"

	"github.com/piecework/piecework/functions"
)

// ReadTokens reads tokens from a list, whose entries are separated by commas or spaces, and from a file, which has one a
// line and may have comments after "#". An entry is ROLE:TOKEN or ROLE:NAME:TOKEN. Either may be "". From is what the
// caller calls the list, for the errors, which are functions.ErrConfig and never repeat what may be a secret.
func ReadTokens(from, list, file string) ([]Token, error) {
	all, err := parseTokens(list, from)
	if err != nil {
		return nil, err
	}
	if file != "" {
		more, err := readTokenFile(file)
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
	}
	if _, err := checkTokens(all); err != nil {
		return nil, err
	}
	return all, nil
}

func readTokenFile(file string) ([]Token, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("%w: token file: %w", functions.ErrConfig, err)
	}
	var lines []string
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		lines = append(lines, line)
	}
	more, err := parseTokens(strings.Join(lines, "\n"), file)
	if err == nil && len(more) == 0 {
		return nil, fmt.Errorf("%w: token file %s has no tokens; write one a line, as ROLE:NAME:TOKEN", functions.ErrConfig, file)
	}
	return more, err
}

func parseTokens(text, from string) ([]Token, error) {
	var all []Token
	for i, entry := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r <= ' ' }) {
		parts := strings.Split(entry, ":")
		t := Token{Name: fmt.Sprintf("number %d of %s", i+1, from)}
		switch len(parts) {
		case 2:
			t.Role, t.Value = Role(parts[0]), parts[1]
		case 3:
			t.Role, t.Name, t.Value = Role(parts[0]), parts[1], parts[2]
		default:
			return nil, fmt.Errorf("%w: token %d of %s: write it as ROLE:TOKEN or ROLE:NAME:TOKEN, with the role reader or operator",
				functions.ErrConfig, i+1, from)
		}
		all = append(all, t)
	}
	return all, nil
}
