package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"gocloud.dev/docstore/driver"
	"gocloud.dev/gcerrors"

	"github.com/piecework/piecework/store/internal/engine"
	"github.com/piecework/piecework/store/relay"
)

// A page ends when its records have so many bytes, however many jobs may be on it, and nothing is
// lost or read ahead.
func TestAPageHasABoundInBytes(t *testing.T) {
	onEach(t, func(t *testing.T, l *lab) {
		const n, size = 60, 200_000
		var want []string
		for i := range n {
			j := l.NewJob(Job{ID: fmt.Sprintf("job-%05d", i), Kind: "a", Args: Payload{Inline: []byte(`"` + strings.Repeat("x", size) + `"`)}}, false, t0+Time(i))
			if _, err := l.Create(t.Context(), j); err != nil {
				t.Fatal(err)
			}
			want = append([]string{j.ID}, want...)
		}
		reads, most := 0, 0
		l.actions = func(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError {
			reads += len(acts)
			most = max(most, len(acts))
			return next(ctx, acts)
		}
		page, err := l.List(t.Context(), Filter{Kinds: []string{"a"}}, 1000, "")
		if err != nil || page.Next == "" || len(page.Jobs) != engine.MaxPage/size {
			t.Errorf("%d jobs of %d bytes, next %q, %v; want %d and a next", len(page.Jobs), size, page.Next, err, engine.MaxPage/size)
		}
		if page.Scanned != len(page.Jobs) || page.Until != page.Jobs[len(page.Jobs)-1].Created {
			t.Errorf("scanned %d until %d, want %d until %d", page.Scanned, page.Until, len(page.Jobs), page.Jobs[len(page.Jobs)-1].Created)
		}
		if got := l.all(t, Filter{Kinds: []string{"a"}}, 1000); !slices.Equal(got, want) {
			t.Errorf("all pages: %v, want %v", got, want)
		}
		if most > 2*engine.MaxBatch/size {
			t.Errorf("%d records of %d bytes were read at once, want at most %d", most, size, 2*engine.MaxBatch/size)
		}
		reads = 0
		page, err = l.List(t.Context(), Filter{Kinds: []string{"a"}, States: []State{Running}}, 1000, "")
		if err != nil || page.Next != "" || page.Scanned != n || reads != n {
			t.Errorf("a filter that passes none: scanned %d with %d reads, next %q, %v; want %d to the end", page.Scanned, reads, page.Next, err, n)
		}
	})
}

// A filter that passes few does not have a page read more bytes than a bound either.
func TestAPageReadsABoundedNumberOfBytes(t *testing.T) {
	t.Run("live", func(t *testing.T) { readsABoundedPage(t, 0) })
	t.Run("expired", func(t *testing.T) { readsABoundedPage(t, t0) }) // the store has not deleted them yet
}

func readsABoundedPage(t *testing.T, expires Time) {
	l := newExpiring(t, TTLSeconds)
	l.now = t0 + 1000
	const n, size = 150, 300_000
	for i := range n {
		j := l.NewJob(Job{ID: fmt.Sprintf("job-%05d", i), Kind: "a", Args: Payload{Inline: []byte(`"` + strings.Repeat("x", size) + `"`)}}, false, t0+Time(i))
		j.Expires = expires
		if _, err := l.Create(t.Context(), j); err != nil {
			t.Fatal(err)
		}
	}
	f := Filter{Kinds: []string{"a"}, States: []State{Running}}
	page, err := l.List(t.Context(), f, 50, "")
	if err != nil || page.Next == "" || page.Scanned*size < engine.MaxScanBytes/2 || page.Scanned*size > engine.MaxScanBytes+engine.MaxBatch {
		t.Errorf("scanned %d records of %d bytes, next %q, %v; want about %d bytes and a next", page.Scanned, size, page.Next, err, engine.MaxScanBytes)
	}
	if rest, err := l.List(t.Context(), f, 50, page.Next); err != nil || rest.Next != "" || page.Scanned+rest.Scanned != n {
		t.Errorf("scanned %d and then %d, next %q, error %v, want %d together and no next", page.Scanned, rest.Scanned, rest.Next, err, n)
	}
}

// A list of many kinds asks each partition once, and again only where it has read to the end of
// what that gave.
func TestAListOfManyKindsAsksEachPartitionOnce(t *testing.T) {
	const kinds, n = 50, 1000
	l := newLab(t, openMemory(t))
	var f Filter
	for i := range kinds {
		f.Kinds = append(f.Kinds, fmt.Sprintf("kind-%02d", i))
	}
	list := make([]Job, n) // most are of one kind
	for i := range list {
		kind := 0
		if i%5 == 0 {
			kind = i % kinds
		}
		list[i] = l.NewJob(Job{ID: fmt.Sprintf("job-%05d", i), Kind: f.Kinds[kind]}, false, t0+Time(i))
	}
	for _, r := range l.CreateMany(t.Context(), list) {
		if r.Err != nil {
			t.Fatal(r.Err)
		}
	}
	queries := 0
	l.query = func(ctx context.Context, q *driver.Query, next relay.Ask) (driver.DocumentIterator, error) {
		queries++
		return next(ctx, q)
	}
	f.Tag = "none" // passes none
	page, err := l.List(t.Context(), f, 50, "")
	if err != nil || page.Scanned != n {
		t.Fatalf("scanned %d, %v, want %d", page.Scanned, err, n)
	}
	if most := kinds*ListShards + 60; queries > most {
		t.Errorf("%d queries for one page of %d partitions, want at most %d", queries, kinds*ListShards, most)
	}
	f.Tag = ""
	if got := l.all(t, f, 300); len(got) != n || !slices.IsSortedFunc(got, func(a, b string) int { return strings.Compare(b, a) }) {
		t.Errorf("%d jobs, want %d, newest first", len(got), n)
	}
}

func TestAPageOfParkedMessagesHasABoundInBytes(t *testing.T) {
	l := newLab(t, openMemory(t))
	const n, size = 40, 150_000
	for i := range n {
		p := Parked{ID: fmt.Sprintf("parked-%02d", i), At: t0 + Time(i), Reason: strings.Repeat("x", size)}
		if _, err := l.Park(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for cursor := ""; ; {
		list, next, err := l.Parked(t.Context(), 1000, cursor)
		if err != nil || len(list)*size > engine.MaxPage {
			t.Fatalf("%d messages of %d bytes, %v, want at most %d bytes", len(list), size, err, engine.MaxPage)
		}
		for _, p := range list {
			got = append(got, p.ID)
		}
		if cursor = next; cursor == "" {
			break
		}
	}
	slices.Sort(got)
	if got = slices.Compact(got); len(got) != n {
		t.Errorf("%d messages, want %d", len(got), n)
	}
}

// A page of which all messages were dealt with in the moment of the list leads to those behind it.
func TestAPageOfParkedMessagesThatAreGone(t *testing.T) {
	l := newLab(t, openMemory(t))
	const n, page = 6, 2
	for i := range n {
		if _, err := l.Park(t.Context(), Parked{ID: fmt.Sprintf("parked-%d", i), At: t0 + Time(i)}); err != nil {
			t.Fatal(err)
		}
	}
	l.actions = func(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError {
		errs := next(ctx, acts)
		for _, a := range acts {
			if a.Kind == driver.Get && (a.Key == "parked-5" || a.Key == "parked-4") {
				errs = append(errs, driver.ActionListError{{Index: a.Index, Err: relay.Error{Code: gcerrors.NotFound}}}...)
			}
		}
		return errs
	}
	var got []string
	cursor := ""
	for pages := 0; pages == 0 || cursor != ""; pages++ {
		if pages > n {
			t.Fatalf("%d pages of %d messages, want no more pages than messages", pages, n)
		}
		list, next, err := l.Parked(t.Context(), page, cursor)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range list {
			got = append(got, p.ID)
		}
		cursor = next
	}
	if want := []string{"parked-3", "parked-2", "parked-1", "parked-0"}; !slices.Equal(got, want) {
		t.Errorf("messages %v, want %v", got, want)
	}
}

// The index of a list can be read and the records cannot: that is an error, and no list without
// them, whose cursor would lead past them.
func TestAListWhoseRecordsCannotBeReadIsAnError(t *testing.T) {
	onEach(t, func(t *testing.T, l *lab) {
		l.fill(t, 30)
		filter := Filter{Kinds: []string{"a", "b", "c"}}

		l.actions = func(_ context.Context, acts []*driver.Action, _ relay.Run) driver.ActionListError {
			return allFail(acts, errStorm)
		}
		page, err := l.List(t.Context(), filter, 10, "")
		if !errors.Is(err, ErrUnavailable) {
			t.Errorf("store away: error %v, %d jobs, next %q, want %v", err, len(page.Jobs), page.Next, ErrUnavailable)
		}

		ctx, cancel := context.WithCancel(t.Context())
		l.actions = func(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError {
			cancel()
			return next(ctx, acts)
		}
		page, err = l.List(ctx, filter, 10, "")
		if !errors.Is(err, context.Canceled) && len(page.Jobs) < 10 {
			t.Errorf("context ended: error %v, %d jobs, next %q, want %v or all jobs", err, len(page.Jobs), page.Next, context.Canceled)
		}
	})
}
