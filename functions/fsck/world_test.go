package fsck

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/blob/memblob"
	"gocloud.dev/docstore"
	"gocloud.dev/docstore/memdocstore"

	"github.com/piecework/piecework/blobout"
	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/pubsubq"
	"github.com/piecework/piecework/store"
)

// world is a small deployment with a record in every state that a job can come to.
type world struct {
	coll   *docstore.Collection
	bucket *blob.Bucket
	rt     *functions.Runtime
	now    time.Time
	queue  []pubsubq.Message
	ids    map[string]string // the records, by what they are examples of
}

func (w *world) Send(_ context.Context, _ string, _ time.Duration, msgs ...pubsubq.Message) error {
	w.queue = append(w.queue, msgs...)
	return nil
}

func (w *world) MaxDelay(string) time.Duration { return 0 }

func newWorld(t *testing.T) *world { return newWorldOf(t, store.TTLNone) }

// newWorldOf makes the world over a store that may delete by itself.
func newWorldOf(t *testing.T, ttl store.TTL) *world {
	t.Helper()
	coll, err := memdocstore.OpenCollection(store.IDField, &memdocstore.Options{RevisionField: store.RevisionField})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		coll: coll, bucket: memblob.OpenBucket(nil), ids: map[string]string{},
		now: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC),
	}
	s, err := store.New(coll, &store.Options{TTL: ttl, Now: func() time.Time { return w.now }})
	if err != nil {
		t.Fatal(err)
	}
	w.rt, err = functions.New(kinds(), functions.Backends{Store: s, Queue: w, Blobs: blobout.New(w.bucket, nil)},
		functions.Config{Now: func() time.Time { return w.now }, Worker: "test", InlineLists: 1000, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = w.rt.Close()
		_ = w.bucket.Close()
		_ = coll.Close()
	})
	w.fill(t)
	return w
}

type letter struct {
	Text string `json:"text"`
	Bad  int    `json:"bad"` // attempts that fail

	Copies int `json:"copies,omitempty"` // further files, saved with a checkpoint
}

func kinds() *functions.Registry {
	reg := functions.NewRegistry()
	functions.Handle(reg, "letter", func(ctx context.Context, job *functions.Job[letter]) (letter, error) {
		w, err := job.Output(ctx, "letter.txt")
		if err != nil {
			return letter{}, err
		}
		if _, err := io.WriteString(w, job.Args.Text); err != nil {
			return letter{}, err
		}
		for n := range job.Args.Copies {
			c, err := job.Output(ctx, fmt.Sprint("copies/", n))
			if err != nil {
				return letter{}, err
			}
			if _, err := io.WriteString(c, job.Args.Text); err != nil {
				return letter{}, err
			}
		}
		if job.Args.Copies > 0 {
			if err := job.Checkpoint(ctx, true); err != nil {
				return letter{}, err
			}
		}
		if job.Attempt <= job.Args.Bad {
			return letter{}, errors.New("out of ink")
		}
		return job.Args, nil
	}, functions.MaxAttempts(3), functions.Retries(functions.Constant(time.Hour)))
	functions.Handle(reg, "raw", func(_ context.Context, job *functions.Job[json.RawMessage]) (json.RawMessage, error) {
		return job.Args, nil
	})
	return reg
}

// fill makes the records.
func (w *world) fill(t *testing.T) {
	t.Helper()
	long := strings.Repeat("x", store.MaxInline)
	w.submit(t, "succeeded", letter{Text: "hello"}, functions.Key("hello"))
	w.submit(t, "large", letter{Text: long})
	w.submit(t, "retrying", letter{Text: "again", Bad: 1})
	w.submit(t, "failed", letter{Text: "never", Bad: 9}, functions.MaxAttempts(1))
	w.submit(t, "filed", letter{Text: "to all", Copies: 8})
	w.submit(t, "parts", letter{Text: "to all, again", Bad: 1, Copies: 8})
	w.submit(t, "held", letter{}, functions.Held())
	w.submit(t, "scheduled", letter{}, functions.After(time.Hour))
	for len(w.queue) > 0 {
		m := w.queue[0]
		w.queue = w.queue[1:]
		w.rt.Execute(t.Context(), m)
	}
	w.submit(t, "cancelled", letter{})
	if _, err := w.rt.Client().Cancel(t.Context(), w.ids["cancelled"], "a test"); err != nil {
		t.Fatal(err)
	}
	w.submit(t, "running", letter{})
	if c := w.rt.Claim(t.Context(), pubsubq.Message{ID: w.ids["running"]}); c[0].Attempt == nil {
		t.Fatal(c[0].Outcome.Err)
	}
	w.submit(t, "queued", letter{})
	w.rt.Submit(t.Context(), []byte(`{"kind":"leter"}`), nil, "1")
	w.rt.Submit(t.Context(), []byte(`{"kind":"letter","args":"`+long+`"`), nil, "2")
	parked, _, err := w.rt.Client().Parked(t.Context(), 10, "")
	if err != nil || len(parked) != 2 {
		t.Fatal(parked, err)
	}
	for _, p := range parked {
		if p.Blob != nil {
			w.ids["parked"] = p.ID
		}
	}
	w.ids["kinds"] = kindsID
}

func (w *world) submit(t *testing.T, as string, args letter, opts ...functions.SubmitOption) {
	t.Helper()
	r, err := w.rt.Client().Submit(t.Context(), "letter", args, opts...)
	if err != nil {
		t.Fatal(err)
	}
	w.ids[as] = r.ID
}

func (w *world) check(t *testing.T, o Options) Report {
	t.Helper()
	if o.Now.IsZero() {
		o.Now = w.now
	}
	r, err := Check(t.Context(), w.coll, w.bucket, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// listed reads a manifest.
func (w *world) listed(t *testing.T, m store.Manifest) []store.Output {
	t.Helper()
	data, err := w.bucket.ReadAll(t.Context(), m.Blob.Key)
	if err != nil {
		t.Fatal(err)
	}
	list, err := store.DecodeOutputs(data)
	if err != nil {
		t.Fatal(err)
	}
	return list
}
