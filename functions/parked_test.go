package functions_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"gocloud.dev/docstore/driver"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/store/relay"
)

// older returns a runtime over the desk's backends that knows another kind only, as before a rollout.
func older(t *testing.T, d *desk) *functions.Runtime {
	t.Helper()
	reg := functions.NewRegistry()
	functions.Handle(reg, "shop.refund", echoing)
	rt, err := functions.New(reg, functions.Backends{Store: d.store, Queue: d, Blobs: d.blobs}, functions.Config{Now: d.clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rt.Close() })
	return rt
}

// park has a message parked, and returns its id.
func park(t *testing.T, rt *functions.Runtime, body, messageID string) string {
	t.Helper()
	if out := rt.Submit(t.Context(), []byte(body), nil, messageID); out.Verdict != functions.Ack || out.Err == nil {
		t.Fatalf("accept of %.60q = %+v, want it parked", body, out)
	}
	parked, _, err := rt.Client().Parked(t.Context(), 1, "")
	if err != nil || len(parked) != 1 {
		t.Fatalf("parked messages: %v, %v, want one", parked, err)
	}
	return parked[0].ID
}

func wantParked(t *testing.T, d *desk, want int) {
	t.Helper()
	parked, _, err := d.Client().Parked(t.Context(), 100, "")
	if err != nil || len(parked) != want {
		t.Errorf("%d messages are parked (%v), want %d", len(parked), err, want)
	}
}

// What an older version could not read becomes a job when a newer one submits it again; once, however often it is asked.
func TestReplayParked(t *testing.T) {
	large := `{"kind":"shop.order","args":{"item":"` + strings.Repeat("x", store.MaxInline) + `"}}`
	for name, c := range map[string]struct{ body, messageID string }{
		"a message":              {`{"kind":"shop.order","args":{"item":"tea"}}`, "m1"},
		"a large one":            {large, "m2"},
		"one without a name":     {`{"kind":"shop.order","args":{"item":"tea"}}`, ""},
		"one with a key":         {`{"kind":"shop.order","key":"k","args":{"item":"tea"}}`, "m3"},
		"a large one, of no one": {large, ""},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, handle(echoing))
			id := park(t, older(t, d), c.body, c.messageID)
			d.actions = func(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError {
				if acts[0].Kind == driver.Delete { // the process dies before
					return driver.ActionListError{{Index: 0, Err: errors.New("no route to host")}}
				}
				return next(ctx, acts)
			}
			first, err := d.Client().ReplayParked(t.Context(), id)
			wantErr(t, err, store.ErrUnavailable)
			d.storeWorks()
			wantParked(t, d, 1)
			jobID, err := d.Client().ReplayParked(t.Context(), id)
			if err != nil || jobID == "" || jobID != first {
				t.Fatalf("replay = %q, %v, want the job of the first time, %q", jobID, err, first)
			}
			wantParked(t, d, 0)
			if again := park(t, older(t, d), c.body, c.messageID); again != id {
				t.Errorf("redelivered, it is parked as %s, want %s", again, id)
			}
			if again, err := d.Client().ReplayParked(t.Context(), id); err != nil || again != jobID {
				t.Errorf("replay of the redelivery = %q, %v, want the same job", again, err)
			}
			d.drain(t)
			if i := d.get(t, jobID); i.State != store.Succeeded {
				t.Errorf("the job is %s, want succeeded", i.State)
			}
			if list, err := d.Client().List(t.Context(), functions.ListFilter{}); err != nil || len(list.Jobs) != 1 {
				t.Errorf("%d jobs (%v), want 1", len(list.Jobs), err)
			}
			for _, key := range d.files(t) {
				if strings.Contains(key, id) {
					t.Errorf("%s is left", key)
				}
			}
			_, err = d.Client().ReplayParked(t.Context(), id)
			wantErr(t, err, store.ErrNotFound, id)
		})
	}
}

// What still is no job stays parked, whatever is wrong with it.
func TestReplayOfWhatIsStillNoJob(t *testing.T) {
	d := newDesk(t, handle(echoing))
	for body, want := range map[string]error{
		`{"kind":"shop.gone"}`:                       functions.ErrUnknownKind,
		`{"kind":"shop.order","args":{"item":1}}`:    functions.ErrArgs,
		`{"kind":"shop.order","max_attempts":0}`:     functions.ErrInvalid,
		"not json":                                   functions.ErrInvalid,
		`{"kind":"shop.order","key":"k","args":{}} `: functions.ErrKeyConflict,
	} {
		d.submit(t, "shop.order", order{Item: "tea"}, functions.Key("k"))
		id := park(t, d.Runtime, body, "m-"+body)
		_, err := d.Client().ReplayParked(t.Context(), id)
		wantErr(t, err, want, id)
		wantParked(t, d, 1)
		if err := d.Client().RemoveParked(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	hint := d.Park(t.Context(), "work", []byte("?"), nil, errors.New("malformed"))
	parked, _, err := d.Client().Parked(t.Context(), 1, "")
	if err != nil || hint.Verdict != functions.Ack {
		t.Fatal(hint, err)
	}
	_, err = d.Client().ReplayParked(t.Context(), parked[0].ID)
	wantErr(t, err, functions.ErrInvalid, `queue "work"`)
	wantParked(t, d, 1)

	id := park(t, older(t, d), `{"kind":"shop.order"}`, "m")
	d.storeFails()
	_, err = d.Client().ReplayParked(t.Context(), id)
	wantErr(t, err, store.ErrUnavailable)
	d.storeWorks()
	wantParked(t, d, 2)
}

func TestRemoveParked(t *testing.T) {
	d := newDesk(t, handle(echoing))
	job := d.submit(t, "shop.order", order{Item: "tea"})
	for _, body := range []string{"no", strings.Repeat("n", store.MaxInline+1)} {
		id := park(t, d.Runtime, body, "")
		if err := d.Client().RemoveParked(t.Context(), id); err != nil {
			t.Error(err)
		}
		wantErr(t, d.Client().RemoveParked(t.Context(), id), store.ErrNotFound, id)
	}
	for _, id := range []string{job, "kinds", "parked-none", ""} {
		wantErr(t, d.Client().RemoveParked(t.Context(), id), store.ErrNotFound)
	}
	wantParked(t, d, 0)
	if files := d.files(t); len(files) > 0 {
		t.Errorf("%q are left, want no files", files)
	}
	d.get(t, job) // it is no parked message, and is there
}

// A message that is delivered and parked again while it is removed keeps its body; one that is parked already has one body.
func TestAMessageIsParkedAgainWhileItIsRemoved(t *testing.T) {
	d := newDesk(t, handle(echoing))
	body := strings.Repeat("n", store.MaxInline+1)
	id := park(t, d.Runtime, body, "m")
	deleted := false
	d.actions = func(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError {
		errs := next(ctx, acts)
		if acts[0].Kind == driver.Delete && !deleted {
			deleted = true
			park(t, d.Runtime, body, "m")
		}
		return errs
	}
	if err := d.Client().RemoveParked(t.Context(), id); err != nil || !deleted {
		t.Fatalf("remove: %v (deleted: %v)", err, deleted)
	}
	for range 2 { // as it was parked meanwhile, and delivered once more
		parked, _, err := d.Client().Parked(t.Context(), 10, "")
		if err != nil || len(parked) != 1 || parked[0].Blob == nil {
			t.Fatalf("parked: %+v, %v, want one message with a blob", parked, err)
		}
		if files := d.files(t); len(files) != 1 || files[0] != parked[0].Blob.Key {
			t.Errorf("files %q, want the body %q alone", files, parked[0].Blob.Key)
		}
		park(t, d.Runtime, body, "m")
	}
}

// A parked message that cannot be read can be removed. One of a newer version is left to that version.
func TestRemoveParkedOfWhatCannotBeRead(t *testing.T) {
	d := newDesk(t, handle(echoing))
	for id, data := range map[string]string{
		"parked-broken": `{`, "parked-half": `{"v":1,"id":"parked-half","queue":"q","blob":{"key":5,"size":9}}`,
		"parked-newer": `{"v":99,"id":"parked-newer"}`,
	} {
		if err := d.inner.Create(t.Context(), map[string]any{"id": id, "data": []byte(data)}); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []string{"parked-broken", "parked-half"} {
		if _, err := d.blobs.Park(t.Context(), id, "t", []byte("body")); err != nil {
			t.Fatal(err)
		}
		wantErr(t, d.Client().RemoveParked(t.Context(), id), nil)
		_, err := d.store.GetParked(t.Context(), id)
		wantErr(t, err, store.ErrNotFound)
	}
	if files := d.files(t); len(files) != 0 {
		t.Errorf("files %q are left, want none", files)
	}
	wantErr(t, d.Client().RemoveParked(t.Context(), "parked-newer"), store.ErrNewerRecord)
}

// Sweep deletes parked messages when their retention has passed, with their bodies, and no others.
func TestParkedMessagesHaveARetention(t *testing.T) {
	for name, c := range map[string]struct{ config, want time.Duration }{
		"default": {0, 14 * 24 * time.Hour}, "an hour": {time.Hour, time.Hour}, "for ever": {-1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, handle(echoing), func(s *setup) { s.config.ParkedRetention = c.config })
			ids := []string{park(t, d.Runtime, "no", ""), park(t, d.Runtime, strings.Repeat("n", store.MaxInline+1), "")}
			if c.want == 0 {
				d.advance(10 * 365 * 24 * time.Hour)
				if r := d.sweep(t); r.Looked != 0 {
					t.Errorf("sweep = %+v, want nothing to be due", r)
				}
				wantParked(t, d, len(ids))
				return
			}
			d.advance(c.want - time.Millisecond)
			if r := d.sweep(t); r.Looked != 0 {
				t.Errorf("a millisecond before it passes, sweep = %+v, want nothing to be due", r)
			}
			wantParked(t, d, len(ids))
			d.advance(time.Millisecond)
			d.storeFails()
			_, _ = d.Sweep(t.Context(), functions.SweepRequest{})
			d.storeWorks()
			wantParked(t, d, len(ids))
			if r := d.sweep(t); r.Removed != len(ids) || r.Failures != 0 {
				t.Errorf("sweep = %+v, want %d removed", r, len(ids))
			}
			wantParked(t, d, 0)
			if files := d.files(t); len(files) > 0 {
				t.Errorf("%q are left, want no files", files)
			}
			if r := d.sweep(t); r.Looked != 0 {
				t.Errorf("sweep = %+v, want nothing to be due any more", r)
			}
		})
	}
}

// What is due as a parked message is read again first, and goes also if nobody can read it.
func TestSweepReadsParkedMessagesFirst(t *testing.T) {
	d := newDesk(t, handle(echoing))
	for id, data := range map[string]string{
		"parked-later":  `{"v":1,"id":"parked-later","due":9999999999999,"queue":"submit"}`,
		"parked-kept":   `{"v":1,"id":"parked-kept","queue":"submit"}`,
		"parked-newer":  `{"v":99,"id":"parked-newer","due":1}`,
		"parked-broken": `{`,
	} {
		doc := map[string]any{"id": id, "data": []byte(data), "due_pk": "due#03", "due_sk": "0000000000000001#" + id}
		if err := d.inner.Create(t.Context(), doc); err != nil {
			t.Fatal(err)
		}
	}
	if r := d.sweep(t); r.Removed != 1 || r.Left != 3 || r.Failures != 0 {
		t.Errorf("sweep = %+v, want the broken one removed and three left", r)
	}
	if _, err := d.store.GetParked(t.Context(), "parked-broken"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the broken message: %v, want ErrNotFound", err)
	}
}

// A message that comes again and is parked again while it is being removed keeps its body.
func TestAMessageThatIsParkedAgainKeepsItsBody(t *testing.T) {
	d := newDesk(t, handle(echoing))
	before := older(t, d)
	large := `{"kind":"shop.order","args":{"item":"` + strings.Repeat("x", store.MaxInline) + `"}}`
	id := park(t, before, large, "m1")
	again := false
	d.actions = func(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError {
		if acts[0].Kind == driver.Delete && !again {
			again = true
			if err := d.inner.Delete(ctx, map[string]any{"id": id}); err != nil {
				t.Error(err)
			}
			park(t, before, large, "m1")
		}
		return next(ctx, acts)
	}
	if err := d.Client().RemoveParked(t.Context(), id); err != nil || !again {
		t.Fatalf("remove: %v, parked again %t", err, again)
	}
	wantParked(t, d, 1)
	if job, err := d.Client().ReplayParked(t.Context(), id); err != nil || job == "" {
		t.Errorf("replay = %q, %v, want a job: the message is there", job, err)
	}
}
