package conformance

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"gocloud.dev/docstore"
	"gocloud.dev/docstore/driver"
	"gocloud.dev/gcerrors"

	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/store/relay"
)

// once runs do instead of the first write of the store under test.
func (l *storeLab) once(do func(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError) (happened *bool) {
	happened = new(bool)
	l.actions = func(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError {
		if *happened || !isWrite(acts) {
			return next(ctx, acts)
		}
		*happened = true
		return do(ctx, acts, next)
	}
	return happened
}

// applyAndLose applies the actions and loses the answer.
func applyAndLose(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError {
	if errs := next(ctx, acts); errs != nil {
		return errs
	}
	return fail(acts, gcerrors.Unknown)
}

// refuse applies nothing.
func refuse(_ context.Context, acts []*driver.Action, _ relay.Run) driver.ActionListError {
	return fail(acts, gcerrors.Unknown)
}

func testLostAnswer(t *testing.T, l *storeLab) { eachFault(t, l, applyAndLose) }

func testRefusedWrite(t *testing.T, l *storeLab) { eachFault(t, l, refuse) }

// eachFault lets the first write of each verb fail: it must do its work exactly once even so.
func eachFault(
	t *testing.T, l *storeLab,
	happens func(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError,
) {
	t.Helper()
	t.Run("create", func(t *testing.T) {
		happened := l.once(happens)
		got, err := l.Create(t.Context(), l.job("created"))
		if err != nil || !*happened {
			t.Fatalf("error %v, happened: %v", err, *happened)
		}
		l.sameAsStored(t, got)
	})
	t.Run("kinds", func(t *testing.T) {
		l.once(happens)
		if _, err := l.AddKinds(t.Context(), t0, store.KindSpec{Name: "a.b"}); err != nil {
			t.Fatal(err)
		}
		if kinds, err := l.other.Kinds(t.Context()); err != nil || len(kinds) != 1 {
			t.Errorf("%v, %v", kinds, err)
		}
	})
	eachVerb(t, l, func(t *testing.T, l *storeLab, v verb, have store.Job) {
		happened := l.once(happens)
		got, err := v.do(t.Context(), l, have)
		if err != nil || !v.after(got) || !*happened {
			t.Fatalf("error %v, happened: %v, job %s", err, *happened, text(t, got))
		}
		l.sameAsStored(t, got)
	})
}

func testConflict(t *testing.T, l *storeLab) {
	eachVerb(t, l, func(t *testing.T, l *storeLab, v verb, have store.Job) {
		n := 0
		l.actions = func(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError {
			if isWrite(acts) && n < 2 { // twice, so that the record that is read again is old as well
				n++
				l.rewrite(t, l.id, docstore.Mods{"later": fmt.Sprint("written in between, ", n)})
			}
			return next(ctx, acts)
		}
		got, err := v.do(t.Context(), l, have)
		if err != nil || !v.after(got) || n != 2 {
			t.Fatalf("error %v after %d conflicts, job %s", err, n, text(t, got))
		}
		l.sameAsStored(t, got)
		if d := l.raw(t, l.id); d.Later != "written in between, 2" {
			t.Errorf("what was written in between became %q", d.Later)
		}
	})
}

// A read that is behind decides nothing: the write that follows from it loses, and the next read is right.
func testStaleRead(t *testing.T, l *storeLab) {
	eachVerb(t, l, func(t *testing.T, l *storeLab, v verb, have store.Job) {
		var unread store.Job // has no revision, so that the verb reads
		if err := json.Unmarshal([]byte(text(t, have)), &unread); err != nil {
			t.Fatal(err)
		}
		old := l.raw(t, l.id)
		l.rewrite(t, l.id, docstore.Mods{"later": "newer than what is read"})
		stale := 2
		l.actions = func(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError {
			errs := next(ctx, acts)
			if errs != nil || isWrite(acts) || stale == 0 {
				return errs
			}
			stale--
			for _, a := range acts {
				if err := a.Doc.SetField("rev", old.Rev); err != nil {
					t.Error(err)
				}
				if err := a.Doc.SetField("data", old.Data); err != nil {
					t.Error(err)
				}
			}
			return nil
		}
		got, err := v.do(t.Context(), l, unread)
		if err != nil || !v.after(got) {
			t.Fatalf("error %v, job %s", err, text(t, got))
		}
		l.sameAsStored(t, got)
		if stale != 0 {
			t.Error("it did not read again")
		}
	})
}

func testPartialLists(t *testing.T, l *storeLab) {
	const n = 130 // more than one list
	jobs := make([]store.Job, n)
	ids := make([]string, n)
	for i := range jobs {
		ids[i] = fmt.Sprintf("job-%03d", i)
		jobs[i] = l.job(ids[i])
	}
	taken := l.put(t, l.job(ids[7]))
	l.once(applyHalf)
	for i, r := range l.CreateMany(t.Context(), jobs) {
		switch {
		case i == 7:
			wantErr(t, r.Err, store.ErrExists)
			if text(t, r.Job) != text(t, taken) {
				t.Errorf("create gives %s", text(t, r.Job))
			}
		case r.Err != nil:
			t.Fatalf("create %d: %v", i, r.Err)
		default:
			l.sameAsStored(t, r.Job)
		}
	}
	if _, err := l.other.Claim(t.Context(), ids[9], store.Claim{Token: "first", Now: t0}); err != nil {
		t.Fatal(err)
	}
	claims := make([]store.Claim, n)
	for i := range claims {
		claims[i] = store.Claim{Token: "token-" + ids[i], Worker: "w", Now: t0}
	}
	l.once(applyHalf)
	for i, r := range l.ClaimMany(t.Context(), ids, claims) {
		switch {
		case i == 9:
			wantErr(t, r.Err, store.ErrHeld)
		case r.Err != nil || r.Job.Lease == nil || r.Job.Lease.Token != claims[i].Token:
			t.Fatalf("claim %d: %v", i, r.Err)
		default:
			l.sameAsStored(t, r.Job)
		}
	}
	for i, r := range l.GetMany(t.Context(), slices.Concat(ids, []string{"nothing", ids[0]})) {
		if i == n {
			wantErr(t, r.Err, store.ErrNotFound)
		} else if r.Err != nil || r.Job.ID != ids[i%(n+1)] || r.Job.Run != 1 {
			t.Errorf("get %d: %s, %v", i, text(t, r.Job), r.Err)
		}
	}
}

// applyHalf applies every other action and reports all as unknown, as some drivers do for a list.
func applyHalf(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError {
	var half []*driver.Action
	for i, a := range acts {
		if i%2 == 0 {
			half = append(half, a)
		}
	}
	_ = next(ctx, half) // that some of these failed too is not known either
	return driver.ActionListError{{Index: -1, Err: relay.Error{Code: gcerrors.Unknown}}}
}

// A call whose context ends says so, whatever error the driver's client has for it: callers tell by it whether it was
// they who went away, or the store.
func testCallerGone(t *testing.T, l *storeLab) {
	eachVerb(t, l, func(t *testing.T, l *storeLab, v verb, have store.Job) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		l.once(func(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError {
			cancel()
			return next(ctx, acts)
		})
		if got, err := v.do(ctx, l, have); err != nil {
			wantErr(t, err, context.Canceled)
		} else if !v.after(got) { // one that does not look at its context may have done it
			t.Errorf("returned %s", text(t, got))
		}
	})
	ctx, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	for name, call := range map[string]func() error{
		"get":      func() error { _, err := l.Get(ctx, l.id); return err },
		"get many": func() error { return l.GetMany(ctx, []string{l.id})[0].Err },
		"due":      func() error { _, err := l.Due(ctx, 0, t0, "", 10); return err },
		"list": func() error {
			_, err := l.List(ctx, store.Filter{States: []store.State{store.Queued}}, 10, "")
			return err
		},
		"parked": func() error { _, _, err := l.Parked(ctx, 10, ""); return err },
	} {
		t.Run(name, func(t *testing.T) {
			if err := call(); err != nil {
				wantErr(t, err, context.DeadlineExceeded)
			}
		})
	}
}
