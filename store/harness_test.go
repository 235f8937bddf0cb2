package store

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"gocloud.dev/docstore"
	"gocloud.dev/docstore/driver"
	"gocloud.dev/docstore/memdocstore"

	"github.com/piecework/piecework/store/internal/engine"
	"github.com/piecework/piecework/store/relay"
	"github.com/piecework/piecework/store/sqldocstore"
)

// t0 is when the tests' clocks start.
const t0 = Time(1_795_262_400_000)

// openers open each kind of collection that needs no server.
var openers = map[string]func(t *testing.T) *docstore.Collection{
	"memory": openMemory,
	"sqlite": func(t *testing.T) *docstore.Collection {
		t.Helper()
		var columns []sqldocstore.Column
		for _, name := range Columns() {
			kind := sqldocstore.Text
			if name == "data" {
				kind = sqldocstore.Bytes
			}
			columns = append(columns, sqldocstore.Column{Name: name, Type: kind})
		}
		coll, err := sqldocstore.Open(t.Context(), "sqlite::memory:", &sqldocstore.Options{
			IDField: IDField, RevisionField: RevisionField, Columns: columns, Indexes: Indexes(),
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = coll.Close() })
		return coll
	},
}

func openMemory(t *testing.T) *docstore.Collection {
	t.Helper()
	coll, err := memdocstore.OpenCollection(IDField, &memdocstore.Options{RevisionField: RevisionField})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = coll.Close() })
	return coll
}

// lab is a store whose backend does what the test wants, and whose pauses take no time.
type lab struct {
	*Store
	coll   *docstore.Collection
	mu     sync.Mutex
	paused time.Duration
	setup  bool // the test prepares something: no faults

	// actions, if set, stands in front of each action list; query in front of each query.
	actions func(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError
	query   func(ctx context.Context, q *driver.Query, next relay.Ask) (driver.DocumentIterator, error)
}

// onEach runs a test on each kind of collection.
func onEach(t *testing.T, test func(t *testing.T, l *lab)) {
	t.Helper()
	for name, open := range openers {
		t.Run(name, func(t *testing.T) { test(t, newLab(t, open(t))) })
	}
}

func newLab(t *testing.T, inner *docstore.Collection) *lab {
	t.Helper()
	l := &lab{}
	l.coll = relay.New(inner, relay.Hooks{
		Actions: func(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError {
			if l.actions == nil {
				return next(ctx, acts)
			}
			return l.actions(ctx, acts, next)
		},
		Query: func(ctx context.Context, q *driver.Query, next relay.Ask) (driver.DocumentIterator, error) {
			if l.query == nil {
				return next(ctx, q)
			}
			return l.query(ctx, q, next)
		},
	})
	var err error
	l.Store, err = New(l.coll, &Options{Pause: func(ctx context.Context, d time.Duration) error {
		l.mu.Lock()
		l.paused += d
		l.mu.Unlock()
		return context.Cause(ctx)
	}})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// decode decodes the record of job-1.
func decode(data []byte) (Job, error) {
	return engine.Records[Job]{Noun: new(Store).jobNoun()}.Decode(&engine.Doc{ID: "job-1", Data: data})
}

// allFail is what a list of actions that all fail returns.
func allFail(acts []*driver.Action, err error) driver.ActionListError {
	errs := make(driver.ActionListError, 0, len(acts))
	for _, a := range acts {
		errs = append(errs, driver.ActionListError{{Index: a.Index, Err: err}}...)
	}
	return errs
}

// writes reports whether a list has a write.
func writes(acts []*driver.Action) bool {
	for _, a := range acts {
		if a.Kind != driver.Get {
			return true
		}
	}
	return false
}

// queued creates a queued job.
func (l *lab) queued(t *testing.T, id string) Job {
	t.Helper()
	j, err := l.Create(t.Context(), l.NewJob(Job{ID: id, Kind: "a.b", Policy: Policy{MaxAttempts: 3}}, false, t0))
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// running creates a job and claims it under the token.
func (l *lab) running(t *testing.T, id, token string) Job {
	t.Helper()
	l.queued(t, id)
	j, err := l.Claim(t.Context(), id, Claim{Token: token, Worker: "w", Now: t0})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// read reads a job past whatever stands in front of the store.
func (l *lab) read(t *testing.T, id string) Job {
	t.Helper()
	actions := l.actions
	l.actions = nil
	defer func() { l.actions = actions }()
	j, err := l.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// wantErr fails the test unless err is want.
func wantErr(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error %v, want %v", err, want)
	}
}
