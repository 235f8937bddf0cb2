package endtoend

import (
	"fmt"
	"os"
	"strings"
)

// LedgerVariable names the file of the ledger to the program.
const LedgerVariable = "PIECEWORK_TEST_LEDGER"

// Ledger is a file in which every run of a handler that has done its work writes a line, before it returns. It is
// independent of what is tested, and tells how often work was done.
type Ledger struct{ path string }

// OpenLedger returns the ledger in a file; the processes of one machine may write to it side by side.
func OpenLedger(path string) Ledger { return Ledger{path} }

// Entry is a line.
type Entry struct {
	Job     string
	Attempt int
	Run     string // a name of its own
}

// Write appends a line, in one write, so that no two mingle.
func (l Ledger) Write(e Entry) error {
	f, err := os.OpenFile(l.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	_, err = fmt.Fprintf(f, "%s %d %s\n", e.Job, e.Attempt, e.Run)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	return nil
}

// Read returns all lines, by job.
func (l Ledger) Read() (map[string][]Entry, error) {
	text, err := os.ReadFile(l.path)
	if err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	entries := map[string][]Entry{}
	for s := range strings.Lines(string(text)) {
		var e Entry
		if _, err := fmt.Sscanf(s, "%s %d %s\n", &e.Job, &e.Attempt, &e.Run); err != nil {
			return nil, fmt.Errorf("ledger: line %q: %w", s, err)
		}
		entries[e.Job] = append(entries[e.Job], e)
	}
	return entries, nil
}
