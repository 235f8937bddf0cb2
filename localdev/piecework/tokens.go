package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/piecework/piecework/functions/httpapi"
)

// tokens reads who may use the API, from a list and a file.
func tokens(list, file string) ([]httpapi.Token, error) {
	all, err := parseTokens(list, "--tokens")
	if err != nil || file == "" {
		return all, err
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, usage("token file: %w", err)
	}
	var lines []string
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		lines = append(lines, line)
	}
	more, err := parseTokens(strings.Join(lines, "\n"), file)
	if err == nil && len(more) == 0 {
		return nil, usage("token file %s has no tokens; write one a line, as ROLE:NAME:TOKEN", file)
	}
	return append(all, more...), err
}

// parseTokens reads entries of the form ROLE:TOKEN or ROLE:NAME:TOKEN. Its errors do not repeat what may be a secret.
func parseTokens(text, from string) ([]httpapi.Token, error) {
	var all []httpapi.Token
	for i, entry := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r <= ' ' }) {
		parts := strings.Split(entry, ":")
		t := httpapi.Token{Name: fmt.Sprintf("number %d of %s", i+1, from)}
		switch len(parts) {
		case 2:
			t.Role, t.Value = httpapi.Role(parts[0]), parts[1]
		case 3:
			t.Role, t.Name, t.Value = httpapi.Role(parts[0]), parts[1], parts[2]
		default:
			return nil, usage("token %d of %s: write it as ROLE:TOKEN or ROLE:NAME:TOKEN, with the role reader or operator", i+1, from)
		}
		all = append(all, t)
	}
	return all, nil
}
