package conformance

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/piecework/piecework/store"
)

// verb is a verb of package store with the record that it needs and what it must make of it.
type verb struct {
	name   string
	before func(t *testing.T, l *storeLab) store.Job
	do     func(ctx context.Context, l *storeLab, have store.Job) (store.Job, error)
	after  func(j store.Job) bool
}

// tenSeconds is the pause before a job is tried again whose attempt was lost.
func tenSeconds(store.Job) time.Duration { return 10 * time.Second }

// later is long after every lease has ended.
const later = t0 + 100_000_000

// verbs are those that begin and hold a job.
var verbs = []verb{
	{
		"claim",
		func(t *testing.T, l *storeLab) store.Job { return l.put(t, l.job(l.id)) },
		func(ctx context.Context, l *storeLab, _ store.Job) (store.Job, error) {
			return l.Claim(ctx, l.id, store.Claim{Token: "token-1", Worker: "w", Now: t0})
		},
		func(j store.Job) bool {
			return j.State == store.Running && j.Run == 1 && j.Attempt == 1 && j.Lease.Token == "token-1"
		},
	},
	{
		"keep",
		func(t *testing.T, l *storeLab) store.Job { return l.claimed(t, l.id) },
		func(ctx context.Context, l *storeLab, have store.Job) (store.Job, error) {
			return l.Heartbeat(ctx, have, store.Heartbeat{
				Token: "token-1", Now: t0 + 200_000, Saved: 1, Checkpoint: &store.Payload{Inline: jsontext.Value(`{"row":7}`)},
				Progress: &store.Progress{Done: 7, Total: 10, Message: "seven", At: t0 + 200_000},
			})
		},
		func(j store.Job) bool {
			return j.State == store.Running && j.Saved == 1 && string(j.Checkpoint.Inline) == `{"row":7}` &&
				j.Progress.Done == 7 && j.Lease.Until > t0+200_000 && j.Due >= j.Lease.Until
		},
	},
	finishing("finish: success", store.Finish{
		Outcome: store.OutcomeSuccess, Result: store.Payload{Inline: jsontext.Value(`[1,"two"]`)},
		Outputs: []store.Output{{Name: "a.csv", ContentType: "text/csv", Parts: []store.Blob{{Key: "k", Size: 3}}}},
	}, func(j store.Job) bool {
		return j.State == store.Succeeded && string(j.Result.Inline) == `[1,"two"]` && len(j.Outputs) == 1 && j.Lease == nil
	}),
	finishing("finish: error", store.Finish{Outcome: store.OutcomeError, Error: "no route", Delay: 5 * time.Second},
		func(j store.Job) bool {
			return j.State == store.Retrying && j.Errors == 1 && j.At == t0+6000 && len(j.Attempts) == 1
		}),
	finishing("finish: for good", store.Finish{Outcome: store.OutcomePanic, Error: "nil map", Stack: "main.go:1", Permanent: true},
		func(j store.Job) bool { return j.State == store.Failed && j.Error == "nil map" && j.Ended == t0+1000 }),
	finishing("finish: continued", store.Finish{Outcome: store.OutcomeContinued, Checkpoint: &store.Payload{Inline: jsontext.Value(`9`)}},
		func(j store.Job) bool {
			return j.State == store.Queued && j.Attempt == 0 && j.Saved == 1 && string(j.Checkpoint.Inline) == `9`
		}),
	finishing("finish: handed back", store.Finish{Outcome: store.OutcomeHandBack},
		func(j store.Job) bool { return j.State == store.Queued && j.Attempt == 0 && j.Run == 1 }),
}

// finishing is the verb that ends an attempt.
func finishing(name string, f store.Finish, after func(j store.Job) bool) verb {
	f.Token, f.Now = "token-1", t0+1000
	return verb{
		name,
		func(t *testing.T, l *storeLab) store.Job { return l.claimed(t, l.id) },
		func(ctx context.Context, l *storeLab, have store.Job) (store.Job, error) {
			return l.Finish(ctx, have, f)
		},
		after,
	}
}

// operatorVerbs are the verbs that people and sweep use.
var operatorVerbs = []verb{
	{
		"release",
		func(t *testing.T, l *storeLab) store.Job {
			return l.put(t, l.NewJob(store.Job{ID: l.id, Kind: "a.b"}, true, t0))
		},
		func(ctx context.Context, l *storeLab, _ store.Job) (store.Job, error) {
			return l.Release(ctx, l.id, t0+5)
		},
		func(j store.Job) bool { return j.State == store.Queued && j.Due > t0 },
	},
	{
		"cancel, waiting",
		func(t *testing.T, l *storeLab) store.Job { return l.put(t, l.job(l.id)) },
		func(ctx context.Context, l *storeLab, _ store.Job) (store.Job, error) {
			return l.RequestCancel(ctx, l.id, "enough", t0+5)
		},
		func(j store.Job) bool { return j.State == store.Cancelled && j.CancelReason == "enough" },
	},
	{
		"cancel, running",
		func(t *testing.T, l *storeLab) store.Job { return l.claimed(t, l.id) },
		func(ctx context.Context, l *storeLab, _ store.Job) (store.Job, error) {
			return l.RequestCancel(ctx, l.id, "enough", t0+5)
		},
		func(j store.Job) bool { return j.State == store.Running && j.Cancel == t0+5 && j.Lease != nil },
	},
	{
		"requeue",
		func(t *testing.T, l *storeLab) store.Job {
			return l.ended(t, l.id, store.Finish{Outcome: store.OutcomeError, Error: "x", Permanent: true})
		},
		func(ctx context.Context, l *storeLab, _ store.Job) (store.Job, error) {
			return l.Requeue(ctx, l.id, t0+9000)
		},
		func(j store.Job) bool { return j.State == store.Queued && j.Attempt == 0 && j.Ended == 0 && j.Run == 1 },
	},
	{
		"look: the message was lost",
		func(t *testing.T, l *storeLab) store.Job { return l.put(t, l.job(l.id)) },
		look(later),
		func(j store.Job) bool { return j.State == store.Queued && j.Resends == 1 && j.Due > later },
	},
	{
		"look: its time came",
		func(t *testing.T, l *storeLab) store.Job {
			return l.put(t, l.NewJob(store.Job{ID: l.id, Kind: "a.b", At: t0 + 60_000}, false, t0))
		},
		look(t0 + 60_000),
		func(j store.Job) bool { return j.State == store.Queued && j.At == 0 },
	},
	{
		"look: the worker is gone",
		func(t *testing.T, l *storeLab) store.Job { return l.claimed(t, l.id) },
		look(later),
		func(j store.Job) bool { return j.State == store.Retrying && j.Lost == 1 && j.Lease == nil && j.Dirty },
	},
	{
		"done",
		func(t *testing.T, l *storeLab) store.Job {
			return l.ended(t, l.id, store.Finish{Outcome: store.OutcomeSuccess, Dirty: true})
		},
		func(ctx context.Context, l *storeLab, have store.Job) (store.Job, error) {
			return l.ClearEffects(ctx, have, []store.Effect{store.EffectHooks}, t0+2000)
		},
		func(j store.Job) bool { return len(j.Outbox) == 1 && j.Outbox[0] == store.EffectPurge },
	},
	{
		"postpone",
		func(t *testing.T, l *storeLab) store.Job {
			return l.ended(t, l.id, store.Finish{Outcome: store.OutcomeSuccess, Dirty: true})
		},
		func(ctx context.Context, l *storeLab, have store.Job) (store.Job, error) {
			return l.Postpone(ctx, have, later)
		},
		func(j store.Job) bool { return len(j.Outbox) == 2 && j.Due > later },
	},
	{
		"doom",
		func(t *testing.T, l *storeLab) store.Job {
			j := l.ended(t, l.id, store.Finish{Outcome: store.OutcomeSuccess})
			j, err := l.other.ClearEffects(t.Context(), j, j.Outbox, t0+2000)
			if err != nil {
				t.Fatal(err)
			}
			return j
		},
		func(ctx context.Context, l *storeLab, have store.Job) (store.Job, error) {
			return l.MarkRemoving(ctx, have, later)
		},
		func(j store.Job) bool { return len(j.Outbox) == 1 && j.Outbox[0] == store.EffectRemove },
	},
}

// look is sweep's verb.
func look(now store.Time) func(ctx context.Context, l *storeLab, have store.Job) (store.Job, error) {
	return func(ctx context.Context, l *storeLab, have store.Job) (store.Job, error) {
		j, _, err := l.AdvanceDue(ctx, have, store.AdvanceDue{Now: now, Delay: tenSeconds})
		return j, err
	}
}

// eachVerb runs a test with each verb, on a fresh record.
func eachVerb(t *testing.T, l *storeLab, test func(t *testing.T, l *storeLab, v verb, have store.Job)) {
	t.Helper()
	for _, list := range [][]verb{verbs, operatorVerbs} {
		for _, v := range list {
			t.Run(v.name, func(t *testing.T) {
				l.id, l.actions = "job-of-"+strings.NewReplacer(" ", "-", ",", "").Replace(v.name), nil
				test(t, l, v, v.before(t, l))
			})
		}
	}
}

func testVerbs(t *testing.T, l *storeLab) {
	j := l.job("created")
	j.Args = store.Payload{Inline: jsontext.Value(`{"from":"ä","n":1e3}`)}
	j.Tags, j.Trace = []string{"x", "y"}, map[string]string{"traceparent": "00-1-2-00"}
	got, err := l.Create(t.Context(), j)
	if err != nil || got.State != store.Queued || !got.Stored() {
		t.Fatalf("created %+v, %v", got, err)
	}
	l.sameAsStored(t, got)
	eachVerb(t, l, func(t *testing.T, l *storeLab, v verb, have store.Job) {
		got, err := v.do(t.Context(), l, have)
		if err != nil {
			t.Fatal(err)
		}
		if !v.after(got) {
			t.Errorf("returned %s", text(t, got))
		}
		l.sameAsStored(t, got)
	})
}

func testRepeated(t *testing.T, l *storeLab) {
	eachVerb(t, l, func(t *testing.T, l *storeLab, v verb, have store.Job) {
		first, err := v.do(t.Context(), l, have)
		if err != nil {
			t.Fatal(err)
		}
		again, err := v.do(t.Context(), l, have) // with the record as it was before
		if v.name == "requeue" {
			wantErr(t, err, store.ErrMove) // it is another request, and the job is queued by now
			return
		}
		if err != nil || text(t, again) != text(t, first) {
			t.Errorf("first %s\nagain %s, %v", text(t, first), text(t, again), err)
		}
	})
}

func testRefusals(t *testing.T, l *storeLab) {
	ctx := t.Context()
	_, err := l.Get(ctx, "nothing")
	wantErr(t, err, store.ErrNotFound)
	_, err = l.Claim(ctx, "nothing", store.Claim{Token: "t", Now: t0})
	wantErr(t, err, store.ErrNotFound)
	running := l.claimed(t, "running")
	_, err = l.Claim(ctx, "running", store.Claim{Token: "token-2", Now: t0})
	wantErr(t, err, store.ErrHeld)
	_, err = l.Heartbeat(ctx, running, store.Heartbeat{Token: "token-2", Now: t0})
	wantErr(t, err, store.ErrLeaseLost)
	_, err = l.Finish(ctx, running, store.Finish{Token: "token-2", Now: t0, Outcome: store.OutcomeSuccess})
	wantErr(t, err, store.ErrLeaseLost)
	ended := l.ended(t, "ended", store.Finish{Outcome: store.OutcomeSuccess})
	_, err = l.Claim(ctx, "ended", store.Claim{Token: "token-2", Now: t0})
	wantErr(t, err, store.ErrMove)
	_, err = l.RequestCancel(ctx, "ended", "r", t0)
	wantErr(t, err, store.ErrMove)
	_, err = l.Requeue(ctx, "ended", t0)
	wantErr(t, err, store.ErrMove)
	l.put(t, l.NewJob(store.Job{ID: "later", Kind: "a.b", At: t0 + 60_000}, false, t0))
	_, err = l.Claim(ctx, "later", store.Claim{Token: "t", Now: t0})
	wantErr(t, err, store.ErrNotDue)
	l.put(t, l.job("elsewhere"))
	_, err = l.Claim(ctx, "elsewhere", store.Claim{Token: "t", Now: t0, Runs: func(string) bool { return false }})
	wantErr(t, err, store.ErrKind)
	there, err := l.Create(ctx, l.job("ended"))
	wantErr(t, err, store.ErrExists)
	if text(t, there) != text(t, ended) {
		t.Errorf("create gives %s, but %s is there", text(t, there), text(t, ended))
	}
	for _, j := range []store.Job{running, ended} {
		l.sameAsStored(t, j)
	}
}
