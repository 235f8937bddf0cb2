package fsck

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/docstore"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/localdev/kit"
	"github.com/piecework/piecework/pubsubq"
	"github.com/piecework/piecework/store"
)

// world is a small deployment with a record in every state that a job can come to.
type world struct {
	*kit.Kit

	coll   *docstore.Collection
	bucket *blob.Bucket
	rt     *functions.Runtime
	now    time.Time
	ids    map[string]string // the records, by what they are examples of
}

func newWorld(t *testing.T) *world { return newWorldOf(t, store.TTLNone) }

// newWorldOf makes the world over a store that may delete by itself.
func newWorldOf(t *testing.T, ttl store.TTL) *world {
	t.Helper()
	w := &world{ids: map[string]string{}, now: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)}
	w.Kit = kit.New(t, kinds(), kit.StartAt(w.now), kit.Store(store.Options{TTL: ttl}), kit.Config(functions.Config{InlineLists: 1000}))
	w.coll, w.bucket, w.rt = w.Records(), w.Bucket(), w.Runtime()
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
	w.Drain()
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
	w.ids[as] = w.Submit("letter", args, opts...)
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
