package conformance

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"gocloud.dev/docstore"
	"gocloud.dev/gcerrors"

	"github.com/piecework/piecework/store"
)

// expiring is a process that takes the store for one that deletes by itself, and whose clock the test sets.
type expiring struct {
	*store.Store

	coll *docstore.Collection
	now  time.Time
}

func newExpiring(t *testing.T, l *storeLab) *expiring {
	t.Helper()
	e := &expiring{coll: l.open(t), now: t0.Time()}
	var err error
	e.Store, err = store.New(e.coll, &store.Options{TTL: l.h.TTL, Now: func() time.Time { return e.now }})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// ended is a job that failed at a time.
func (e *expiring) ended(t *testing.T, id string, at store.Time, retention time.Duration) store.Job {
	t.Helper()
	ctx := t.Context()
	j := e.NewJob(store.Job{ID: id, Kind: "a.b", Policy: store.Policy{MaxAttempts: 1, Retention: retention.Milliseconds()}}, false, at)
	if _, err := e.Create(ctx, j); err != nil {
		t.Fatal(err)
	}
	j, err := e.Claim(ctx, id, store.Claim{Token: "token-1", Worker: "w", Now: at})
	if err != nil {
		t.Fatal(err)
	}
	if j, err = e.Finish(ctx, j, store.Finish{Token: "token-1", Now: at, Outcome: store.OutcomeError, Error: "no"}); err != nil {
		t.Fatal(err)
	}
	return j
}

// field is what a document has in its field "expires"; nil if it has none.
func (e *expiring) field(t *testing.T, id string) any {
	t.Helper()
	var d struct {
		ID      string `docstore:"id"`
		Rev     any    `docstore:"rev"`
		Expires any    `docstore:"expires"`
	}
	d.ID = id
	if err := e.coll.Get(t.Context(), &d, "rev", store.ExpiresField); err != nil {
		t.Fatal(err)
	}
	return d.Expires
}

// What the store is to delete by itself has the field in the form that the store wants, and does not stand in the due
// index; what is retried has none.
func testExpiryField(t *testing.T, l *storeLab) {
	e := newExpiring(t, l)
	j := e.ended(t, "job-1", t0, time.Hour)
	at := t0.Add(time.Hour)
	var got store.Time
	switch v := e.field(t, j.ID).(type) {
	case int64:
		got = store.Time(v * 1000)
	case float64:
		got = store.Time(v * 1000)
	case time.Time:
		got = store.At(v)
		if l.h.TTL != store.TTLTime {
			t.Errorf("%q is a date, which this store does not act on", store.ExpiresField)
		}
	default:
		t.Fatalf("%q is a %T: %v", store.ExpiresField, v, v)
	}
	if got != at || j.Expires != at || j.Due != 0 {
		t.Errorf("expires %v, field %v, want %v; due %v", j.Expires, got, at, j.Due)
	}
	poll(t, l.h.Lag, func() string {
		if due := l.dueIDs(t, later, 10); len(due) > 0 {
			return fmt.Sprintf("%v are due", due)
		}
		return ""
	})
	if j, err := e.Requeue(t.Context(), j.ID, t0); err != nil || j.Expires != 0 || e.field(t, j.ID) != nil {
		t.Errorf("retried: %v, expires %v, field %v", err, j.Expires, e.field(t, j.ID))
	}
	poll(t, l.h.Lag, func() string {
		if due := l.dueIDs(t, later, 10); len(due) != 1 {
			return fmt.Sprintf("%v are due", due)
		}
		return ""
	})
}

// What has expired and is still there counts as deleted, and its id can be used again, by one.
func testExpired(t *testing.T, l *storeLab) {
	ctx := t.Context()
	e := newExpiring(t, l)
	j := e.ended(t, "job-1", t0, time.Hour)
	e.now = e.now.Add(time.Hour)
	_, err := e.Get(ctx, j.ID)
	wantErr(t, err, store.ErrNotFound)
	wantErr(t, e.GetMany(ctx, []string{"job-1", "job-2"})[0].Err, store.ErrNotFound)
	for _, f := range []store.Filter{{Kinds: []string{"a.b"}}, {States: []store.State{store.Failed}}} {
		if page, err := e.List(ctx, f, 10, ""); err != nil || len(page.Jobs) > 0 {
			t.Errorf("listed: %v, %v", page.Jobs, err)
		}
	}
	type answer struct {
		job store.Job
		err error
	}
	answers := make(chan answer)
	const many = 8
	for range many {
		go func() {
			j, err := e.Create(ctx, e.NewJob(store.Job{ID: "job-1", Kind: "a.b"}, false, store.At(e.now)))
			answers <- answer{j, err}
		}()
	}
	made := 0
	for range many {
		switch a := <-answers; {
		case a.err == nil:
			made++
			l.sameAsStored(t, a.job)
		case !errors.Is(a.err, store.ErrExists):
			t.Error(a.err)
		}
	}
	if fresh := l.read(t, "job-1"); made != 1 || fresh.State != store.Queued || fresh.Expires != 0 || e.field(t, "job-1") != nil {
		t.Errorf("%d took its place: %+v, field %v", made, fresh, e.field(t, "job-1"))
	}
}

// The store deletes what has expired, and nothing else.
func testDeletes(t *testing.T, l *storeLab) {
	e := newExpiring(t, l)
	now := store.At(time.Now())
	gone := e.ended(t, "job-gone", now, time.Second)
	kept := e.ended(t, "job-kept", now, 24*time.Hour)
	poll(t, l.h.Deletes, func() string {
		if err := l.coll.Get(t.Context(), &document{ID: gone.ID}, "rev"); gcerrors.Code(err) != gcerrors.NotFound {
			return fmt.Sprintf("the store has not deleted %s within %v: %v", gone.ID, l.h.Deletes, err)
		}
		return ""
	})
	if err := l.coll.Get(t.Context(), &document{ID: kept.ID}, "rev"); err != nil {
		t.Errorf("%s, which expires tomorrow: %v", kept.ID, err)
	}
}
