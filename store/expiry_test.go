package store

import (
	"context"
	"errors"
	"testing"
	"time"

	"gocloud.dev/docstore/driver"
	"gocloud.dev/gcerrors"

	"github.com/piecework/piecework/store/internal/engine"
	"github.com/piecework/piecework/store/relay"
)

// hour is the retention of the jobs here.
const hour = 3_600_000

// expiring is a lab whose store takes its collection for one that deletes by itself, and whose
// clock the test sets.
type expiring struct {
	*lab
	now Time
}

// onExpiring runs a test for each form.
func onExpiring(t *testing.T, test func(t *testing.T, l *expiring)) {
	t.Helper()
	for _, ttl := range []TTL{TTLSeconds, TTLTime} {
		t.Run(ttl.String(), func(t *testing.T) { test(t, newExpiring(t, ttl)) })
	}
}

func newExpiring(t *testing.T, ttl TTL) *expiring {
	t.Helper()
	l := &expiring{lab: newLab(t, openMemory(t)), now: t0}
	l.opts.TTL, l.opts.Now = ttl, func() time.Time { return l.now.Time() }
	return l
}

// with is a store of another process over the same collection.
func (l *expiring) with(t *testing.T, ttl TTL) *Store {
	t.Helper()
	s, err := New(l.coll, &Options{TTL: ttl, Now: l.opts.Now, Pause: l.opts.Pause})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// ended is a job that ended one second after it was claimed.
func (l *expiring) ended(t *testing.T, id string, f Finish) Job {
	t.Helper()
	ctx := t.Context()
	if _, err := l.Create(ctx, l.NewJob(Job{ID: id, Kind: "a.b", Policy: Policy{MaxAttempts: 1, Retention: hour}}, false, l.now)); err != nil {
		t.Fatal(err)
	}
	j, err := l.Claim(ctx, id, Claim{Token: "t", Now: l.now})
	if err != nil {
		t.Fatal(err)
	}
	f.Token, f.Now = "t", l.now+1000
	if j, err = l.Finish(ctx, j, f); err != nil || !j.State.Final() {
		t.Fatal(j.State, err)
	}
	return j
}

// field is what a document has in "expires"; nil if it has no such field.
func (l *expiring) field(t *testing.T, id string) any {
	t.Helper()
	doc := map[string]any{IDField: id}
	if err := l.coll.Get(t.Context(), doc); err != nil {
		t.Fatal(err)
	}
	return doc[ExpiresField]
}

var success = Finish{Outcome: OutcomeSuccess, Result: Payload{Inline: []byte("1")}}

func TestAJobWithoutFilesExpiresByItself(t *testing.T) {
	onExpiring(t, func(t *testing.T, l *expiring) {
		j := l.ended(t, "job-1", success)
		at := t0 + 1000 + hour
		if j.Due != 0 || j.Expires != at {
			t.Errorf("due %d, expires %d, want %d", j.Due, j.Expires, at)
		}
		switch v := l.field(t, "job-1").(type) {
		case int64:
			if l.opts.TTL != TTLSeconds || Time(v)*1000 < at || Time(v)*1000 > at+1000 {
				t.Errorf("expires is %d, want %d in seconds", v, at)
			}
		case time.Time:
			if l.opts.TTL != TTLTime || !v.Equal(at.Time()) {
				t.Errorf("expires is %v, want %v", v, at.Time())
			}
		default:
			t.Errorf("expires is %T %v, want a number or a time", v, v)
		}
		for n := range DuePartitions {
			if refs, err := l.Due(t.Context(), n, at+hour, "", 10); err != nil || len(refs) > 0 {
				t.Errorf("due: %v, error %v, want none", refs, err)
			}
		}
	})
}

// What must go with the record keeps it for sweep.
func TestAJobWithFilesIsLeftToSweep(t *testing.T) {
	onExpiring(t, func(t *testing.T, l *expiring) {
		blob := &Blob{Key: "jobs/x/a", Size: 1}
		out := []Output{{Name: "a", Parts: []Blob{*blob}}}
		for name, f := range map[string]Finish{
			"result":  {Outcome: OutcomeSuccess, Result: Payload{Blob: blob}},
			"outputs": {Outcome: OutcomeSuccess, Outputs: out},
			"dirty":   {Outcome: OutcomeSuccess, Dirty: true},
			"hooks":   {Outcome: OutcomeSuccess, Hooks: true},
		} {
			j := l.ended(t, "job-"+name, f)
			if j.Expires != 0 || j.Due == 0 || l.field(t, j.ID) != nil {
				t.Errorf("%s: due %d, expires %d, want a due time and no expiry", name, j.Due, j.Expires)
			}
			if name == "hooks" { // told of the end, there is nothing left to do
				j, err := l.ClearEffects(t.Context(), j, j.Outbox, l.now)
				if err != nil || j.Expires != j.Ended+hour || j.Due != 0 {
					t.Errorf("after the outbox: due %d, expires %d, error %v, want 0 and %d", j.Due, j.Expires, err, j.Ended+hour)
				}
			}
		}
		if j := l.ended(t, "job-kept", Finish{Outcome: OutcomeError, Permanent: true}); j.Expires == 0 {
			t.Error("a failed job without files has no expiry, want one")
		}
	})
}

func TestWhatIsPastItsExpiryCountsAsDeleted(t *testing.T) {
	onExpiring(t, func(t *testing.T, l *expiring) {
		ctx := t.Context()
		j := l.ended(t, "job-1", Finish{Outcome: OutcomeError, Permanent: true})
		listed := func(s *Store, f Filter) int {
			page, err := s.List(ctx, f, 10, "")
			if err != nil {
				t.Fatal(err)
			}
			return len(page.Jobs)
		}
		for _, s := range []*Store{l.Store, l.with(t, TTLNone)} {
			l.now = j.Expires - 1
			if _, err := s.Get(ctx, j.ID); err != nil || listed(s, Filter{Kinds: []string{"a.b"}}) != 1 || listed(s, Filter{States: []State{Failed}}) != 1 {
				t.Errorf("before its expiry: error %v, want the job, listed twice", err)
			}
			l.now = j.Expires
			_, err := s.Get(ctx, j.ID)
			wantErr(t, err, ErrNotFound)
			wantErr(t, s.GetMany(ctx, []string{j.ID, "job-2"})[0].Err, ErrNotFound)
			if listed(s, Filter{Kinds: []string{"a.b"}}) != 0 || listed(s, Filter{States: []State{Failed}}) != 0 {
				t.Error("the expired job is listed, want it to be left out")
			}
			_, err = s.Requeue(ctx, j.ID, l.now)
			wantErr(t, err, ErrNotFound)
			_, err = s.Claim(ctx, j.ID, Claim{Token: "u", Now: l.now})
			wantErr(t, err, ErrNotFound)
		}
	})
}

// The key of a job that has expired can be used again at once, however long the store takes to
// delete it.
func TestANewJobTakesThePlaceOfAnExpiredOne(t *testing.T) {
	onExpiring(t, func(t *testing.T, l *expiring) {
		for name, by := range map[string]TTL{"with the option": l.opts.TTL, "without": TTLNone} {
			s := l.with(t, by)
			for _, many := range []bool{false, true} {
				old := l.ended(t, "job-1", success)
				l.now = old.Expires
				fresh := s.NewJob(Job{ID: old.ID, Kind: "a.b", Policy: Policy{MaxAttempts: 1, Retention: hour}}, false, l.now)
				var err error
				if many {
					err = s.CreateMany(t.Context(), []Job{{ID: "job-other" + name, Kind: "a.b"}, fresh})[1].Err
				} else {
					_, err = s.Create(t.Context(), fresh)
				}
				got := l.read(t, old.ID)
				if err != nil || got.State != Queued || got.Run != 0 || got.Created != l.now || got.Nonce == old.Nonce || l.field(t, old.ID) != nil {
					t.Fatalf("%s: created over the expired one: error %v, stored %+v, want a fresh queued job", name, err, got)
				}
				if _, err := s.Create(t.Context(), fresh); !errors.Is(err, ErrExists) {
					t.Errorf("%s: created twice: error %v, want %v", name, err, ErrExists)
				}
				l.now += hour
				if err := l.coll.Delete(t.Context(), &engine.Doc{ID: old.ID}); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

// Faults while the place is taken: the store deletes the old record just then, another process is
// first, the answer is lost.
func TestTakingThePlaceOfAnExpiredJobUnderFaults(t *testing.T) {
	type setup func(t *testing.T, l *expiring, id string)
	remove := func(t *testing.T, l *expiring, id string) {
		if err := l.coll.Delete(t.Context(), &engine.Doc{ID: id}); err != nil {
			t.Error(err)
		}
	}
	another := func(t *testing.T, l *expiring, id string) {
		s := l.with(t, TTLNone)
		if _, err := s.Create(t.Context(), s.NewJob(Job{ID: id, Kind: "a.b", Nonce: "another"}, false, l.now)); err != nil {
			t.Error(err)
		}
	}
	for name, c := range map[string]struct {
		before setup
		lose   bool
		err    error
	}{
		"deleted meanwhile":  {before: remove},
		"another is first":   {before: another, err: ErrExists},
		"the answer is lost": {lose: true},
	} {
		t.Run(name, func(t *testing.T) {
			l := newExpiring(t, TTLSeconds)
			old := l.ended(t, "job-1", success)
			l.now = old.Expires
			struck := false
			l.actions = func(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError {
				if struck || acts[0].Kind != driver.Replace {
					return next(ctx, acts)
				}
				struck = true
				if c.before != nil {
					c.before(t, l, old.ID)
				}
				err := next(ctx, acts)
				if c.lose {
					return allFail(acts, relay.Error{Code: gcerrors.Internal})
				}
				return err
			}
			j, err := l.Create(t.Context(), l.NewJob(Job{ID: old.ID, Kind: "a.b", Nonce: "mine"}, false, l.now))
			if !struck || !errors.Is(err, c.err) || (err == nil) != (j.Nonce == "mine") || l.read(t, old.ID).Nonce != j.Nonce {
				t.Errorf("create: %+v, error %v (another was first: %v), want error %v and what is stored", j, err, struck, c.err)
			}
		})
	}
}

func TestRetryingAJobTakesItsExpiryOff(t *testing.T) {
	onExpiring(t, func(t *testing.T, l *expiring) {
		for name, by := range map[string]TTL{"with the option": l.opts.TTL, "without": TTLNone} {
			j := l.ended(t, "job-"+name[:4]+name[len(name)-1:], Finish{Outcome: OutcomeError, Permanent: true})
			if l.field(t, j.ID) == nil {
				t.Fatal("the ended job has no field expires, want one")
			}
			j, err := l.with(t, by).Requeue(t.Context(), j.ID, l.now)
			if err != nil || j.Expires != 0 || j.Due == 0 || l.field(t, j.ID) != nil {
				t.Errorf("%s: error %v, due %d, expires %d, field %v, want a due time and no expiry", name, err, j.Due, j.Expires, l.field(t, j.ID))
			}
		}
	})
}

// A process without the option that writes to an ended record leaves it to sweep again.
func TestAProcessWithoutTheOptionGivesTheRecordBackToSweep(t *testing.T) {
	j := Job{ID: "job-1", State: Succeeded, Ended: t0, Policy: Policy{Retention: hour}, Expires: t0 + hour}
	if j = j.leave(TTLNone); j.Expires != 0 || j.Due != t0+hour {
		t.Errorf("due %d, expires %d, want %d and 0", j.Due, j.Expires, t0+hour)
	}
}

func TestAnUnknownFormIsRefused(t *testing.T) {
	if _, err := New(openMemory(t), &Options{TTL: 7}); err == nil {
		t.Error("New with TTL 7: error nil, want one")
	}
}
