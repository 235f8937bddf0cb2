// Command opcount prints what each path of a job's life asks of the store and of the queue: documents read and
// written, index entries changed, index queries, messages. These are what a cloud bills and what a job's speed comes
// down to. A test holds them to what the design promises.
//
//	go run ./tests/opcount
//
// A path is everything from Submit to the end, the sweeps included that it needs; the process has submitted jobs of the
// kind before. "index" are changes of entries of the due, list and failed indexes; "found" are the entries that
// queries returned.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/tests/counting"
)

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "opcount:", err)
		os.Exit(1)
	}
}

// counted is a path with what it cost.
type counted struct {
	path string
	ops  counting.Counts
}

// run measures all paths and prints the table.
func run(ctx context.Context, out io.Writer) error {
	rows, err := measure(ctx)
	if err != nil {
		return err
	}
	return table(out, rows)
}

// measure walks all paths.
func measure(ctx context.Context) ([]counted, error) {
	b, err := newBench(ctx, store.TTLNone)
	if err != nil {
		return nil, err
	}
	defer b.close()
	var rows []counted
	for _, p := range paths {
		if rows, err = p.measure(ctx, b, rows); err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
	}
	for _, p := range retention {
		if rows, err = p.apart(ctx, rows); err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return rows, nil
}

// apart walks a path in a store of its own, or its sweep would find the jobs of the others.
func (p keeping) apart(ctx context.Context, rows []counted) ([]counted, error) {
	b, err := newBench(ctx, p.ttl)
	if err != nil {
		return nil, err
	}
	defer b.close()
	return p.measure(ctx, b, rows)
}

// measure walks one path.
func (p path) measure(ctx context.Context, b *bench, rows []counted) ([]counted, error) {
	if p.prepare != nil {
		if err := p.prepare(ctx, b); err != nil {
			return nil, err
		}
	}
	b.Ops.Take()
	if err := p.walk(ctx, b); err != nil {
		return nil, err
	}
	return append(rows, counted{p.name, b.Ops.Take()}), nil
}

// table prints the rows, aligned.
func table(out io.Writer, rows []counted) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%-42s\treads\twrites\tindex\tdue\tlist\tfailed\tqueries\tfound\tmessages\t\n", "")
	for _, r := range rows {
		c := r.ops
		fmt.Fprintf(&b, "%-42s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t\n",
			r.path, c.Reads, c.Writes, c.Indexes(), c.Due, c.List, c.Fail, c.Queries, c.Found, c.Messages)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight|tabwriter.DiscardEmptyColumns)
	if _, err := io.WriteString(w, b.String()); err != nil {
		return err
	}
	return w.Flush()
}
