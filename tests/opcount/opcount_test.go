package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/tests/counting"
)

var update = flag.Bool("update", false, "write the golden table anew")

// limits are what the design promises of a path: at most that much.
var limits = map[string]counting.Counts{
	"plain job":                            {Reads: 2, Writes: 3, Due: 2, List: 1, Messages: 1},
	"sweep that removes a plain job":       {Reads: 1, Writes: 1, Due: 1, List: 1, Queries: store.DuePartitions, Found: 1},
	"plain job that the store will delete": {Reads: 2, Writes: 3, Due: 2, List: 1, Messages: 1},
	"sweep when that job has expired":      {Queries: store.DuePartitions},
	"idle sweep":                           {Queries: store.DuePartitions},
	"sweep with 1 of 100,000 records due":  {Reads: 1, Writes: 1, Due: 1, Queries: store.DuePartitions, Found: 1, Messages: 1},
}

func TestPathsCostWhatTheDesignPromises(t *testing.T) {
	rows, err := measure(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	held := 0
	for _, r := range rows {
		most, ok := limits[r.path]
		if !ok {
			continue
		}
		held++
		c := r.ops
		if c.Reads > most.Reads || c.Writes > most.Writes || c.Due > most.Due || c.List > most.List || c.Fail > most.Fail ||
			c.Queries > most.Queries || c.Found > most.Found || c.Messages > most.Messages {
			t.Errorf("%s costs %s; the design allows %s", r.path, c, most)
		}
	}
	if held != len(limits) {
		t.Errorf("%d of %d limits were looked at: a path has another name", held, len(limits))
	}
	var got bytes.Buffer
	if err := table(&got, rows); err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "opcount.txt")
	if *update {
		if err := os.WriteFile(golden, got.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("the table changed; if that is meant, run go test ./tests/opcount -update\n%s\nwas\n%s", &got, want)
	}
}

func TestCountsAreWritten(t *testing.T) {
	c := counting.Counts{Reads: 1, Writes: 2, Failed: 1, Due: 3, List: 4, Fail: 5, Queries: 6, Found: 7, Messages: 8}
	if got := c.String(); !strings.HasPrefix(got, "1 reads, 2 writes, 1 refused") || c.Indexes() != 12 {
		t.Error(got)
	}
}
