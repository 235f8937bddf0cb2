package store

import (
	"context"
	"slices"
	"testing"

	"gocloud.dev/docstore/driver"

	"github.com/piecework/piecework/store/relay"
)

// An index may hold its own fields and the key only, as those of DynamoDB do: a query that asks for
// more would read the whole table, or fail.
func TestQueriesAskOnlyForWhatTheirIndexHolds(t *testing.T) {
	l := newLab(t, openMemory(t))
	l.fill(t, 20)
	if _, err := l.Park(t.Context(), Parked{ID: "parked-1", At: t0, Body: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	queries := 0
	l.query = func(ctx context.Context, q *driver.Query, next relay.Ask) (driver.DocumentIterator, error) {
		queries++
		held := []string{IDField}
		for _, f := range q.Filters {
			held = append(held, f.FieldPath[0])
		}
		if len(q.FieldPaths) == 0 {
			t.Errorf("a query by %v asks for all fields, want those of its index", held[1:])
		}
		for _, f := range q.FieldPaths {
			if !slices.Contains(held, f[0]) {
				t.Errorf("a query by %v asks for %s, want only fields of its index", held[1:], f[0])
			}
		}
		return next(ctx, q)
	}
	for _, f := range []Filter{{Kinds: []string{"a"}}, {States: []State{Failed}}} {
		if _, err := l.List(t.Context(), f, 5, ""); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.Due(t.Context(), 1, t0, "", 5); err != nil {
		t.Fatal(err)
	}
	list, _, err := l.Parked(t.Context(), 5, "")
	if err != nil || len(list) != 1 || string(list[0].Body) != "x" {
		t.Errorf("parked %v, error %v, want the message", list, err)
	}
	if queries == 0 {
		t.Error("no query was made, want some")
	}
}
