package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// Each command's help is tidy, and tells what it means to leave a flag out, where that is not to
// narrow or to add nothing.
func TestTheHelpTellsDefaults(t *testing.T) {
	nothing := []string{"token", "tokens", "token-file", "key", "at", "in", "kind", "state", "tag", "queue", "cursor", "reason", "output"}
	for _, cmd := range rootCommand(newConsole(strings.NewReader(""), nil, nil, nil)).Commands() {
		for n, line := range strings.Split(cli(t, "", nil, cmd.Name(), "--help").out, "\n") {
			if strings.TrimRight(line, " ") != line {
				t.Errorf("%s --help, line %d ends with a blank: %q", cmd.Name(), n+1, line)
			}
		}
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			told := strings.Contains(f.Usage, "(default") || !slices.Contains([]string{"", "0", "0s", "[]"}, f.DefValue)
			if !told && !slices.Contains(nothing, f.Name) {
				t.Errorf("%s --help does not tell the default of --%s", cmd.Name(), f.Name)
			}
		})
	}
}
