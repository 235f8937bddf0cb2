package functions_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/trigger"
	"github.com/piecework/piecework/store"
)

func TestOptionsOfAKindAndTheirOverrides(t *testing.T) {
	d := newDesk(t, handle(echoing))
	i := d.once(t, "shop.order", order{})
	want := functions.Limits{MaxAttempts: 5, MaxLost: 3, Timeout: functions.Duration(time.Hour)}
	if i.Limits != want || i.Queue != "default" || !i.Deadline.IsZero() || !i.Expires.Equal(i.Ended.Add(functions.DefaultRetention)) {
		t.Errorf("defaults: %+v", i)
	}
	d = newDesk(t, handle(echoing,
		functions.MaxAttempts(7), functions.MaxErrors(6), functions.MaxTimeouts(5), functions.MaxLost(4),
		functions.Timeout(time.Minute), functions.Deadline(time.Hour), functions.Queue("reports"), functions.Retention(time.Hour)))
	i = d.once(t, "shop.order", order{})
	want = functions.Limits{MaxAttempts: 7, MaxErrors: 6, MaxTimeouts: 5, MaxLost: 4, Timeout: functions.Duration(time.Minute)}
	if i.Limits != want || i.Queue != "reports" || !i.Deadline.Equal(i.Created.Add(time.Hour)) || !i.Expires.Equal(i.Ended.Add(time.Hour)) {
		t.Errorf("of the kind: %+v", i)
	}
	i = d.once(t, "shop.order", order{}, functions.MaxAttempts(functions.Unlimited), functions.MaxErrors(1), functions.MaxTimeouts(1),
		functions.MaxLost(1), functions.Timeout(0), functions.Deadline(0), functions.Queue("fast"), functions.Retention(0), functions.Tags("a", "b"))
	want = functions.Limits{MaxErrors: 1, MaxTimeouts: 1, MaxLost: 1}
	if i.Limits != want || i.Queue != "fast" || !i.Deadline.IsZero() || !i.Expires.IsZero() || len(i.Tags) != 2 {
		t.Errorf("of the submission: %+v", i)
	}
}

func TestOptionsThatCannotWorkAreRefusedAtTheStart(t *testing.T) {
	for text, o := range map[string]functions.KindOption{
		"MaxAttempts(0)":           functions.MaxAttempts(0),
		"MaxErrors(-1)":            functions.MaxErrors(-1),
		"MaxTimeouts(0)":           functions.MaxTimeouts(0),
		"MaxLost(0)":               functions.MaxLost(0),
		"Timeout(1µs)":             functions.Timeout(time.Microsecond),
		"Timeout(-1s)":             functions.Timeout(-time.Second),
		"Deadline(-1s)":            functions.Deadline(-time.Second),
		"Retention(-1s)":           functions.Retention(-time.Second),
		`queue "-"`:                functions.Queue("-"),
		"0 <= min <= max":          functions.Retries(functions.Exponential(2, 1)),
		"have min -1s and max -1s": functions.Retries(functions.Constant(-time.Second)),
	} {
		err := handle(echoing, o).Err()
		wantErr(t, err, functions.ErrInvalid, text, "shop.order")
		if n := strings.Count(err.Error(), functions.ErrInvalid.Error()); n != 1 {
			t.Errorf("error %q says %q %d times, want once", err, functions.ErrInvalid, n)
		}
	}
	all := handle(echoing, functions.MaxAttempts(0), functions.Queue("-")).Err()
	wantErr(t, all, functions.ErrInvalid, "MaxAttempts(0)", `queue "-"`)
	if n := strings.Count(all.Error(), `kind "shop.order"`); n != 2 {
		t.Errorf("error %q names the kind %d times, want it with each of the two options", all, n)
	}
	reg := functions.NewRegistry()
	for _, name := range []string{"", "A", "a..b", ".a", "a_b", strings.Repeat("a", 101)} {
		functions.Kind[order, order](name).Declare(reg)
	}
	functions.Kind[order, order]("twice").Declare(reg)
	functions.Kind[order, order]("twice").Declare(reg)
	functions.Handle[order, order](reg, "nothing", nil)
	_, err := functions.New(reg, functions.Backends{}, functions.Config{Margin: -1})
	wantErr(t, err, functions.ErrConfig, "registered twice", "handler is nil", `kind "a..b"`, "Backends needs", "cannot be negative")
	if err := functions.CheckKind("banking.statement-2"); err != nil {
		t.Error(err)
	}
	if err := functions.CheckQueue(strings.Repeat("q", 64)); err == nil {
		t.Error("a queue of 64 letters")
	}
}

// waits lets a job fail again and again and returns the pauses before its next attempts.
func waits(t *testing.T, n int, opts ...functions.KindOption) []time.Duration {
	t.Helper()
	d := newDesk(t, handle(failing, append(opts, functions.MaxAttempts(n+1))...))
	id := d.submit(t, "shop.order", order{})
	var list []time.Duration
	for range n {
		d.drain(t)
		i := d.get(t, id)
		if i.State == store.Queued {
			list = append(list, 0)
		} else {
			list = append(list, i.At.Sub(d.clock()))
			d.advance(i.At.Sub(d.clock()))
			d.sweep(t)
		}
	}
	return list
}

func TestRetryPolicies(t *testing.T) {
	const s = time.Second
	same := func(a, b []time.Duration) bool {
		for i := range a {
			if a[i] != b[i] {
				return false
			}
		}
		return true
	}
	for name, c := range map[string]struct {
		option functions.KindOption
		want   []time.Duration
	}{
		"constant": {functions.Retries(functions.Constant(3 * s)), []time.Duration{3 * s, 3 * s, 3 * s}},
		"linear":   {functions.Retries(functions.Linear(2*s, 5*s)), []time.Duration{2 * s, 4 * s, 5 * s}},
		"function": {functions.RetryBy(func(n int, last string) time.Duration {
			return time.Duration(n) * time.Duration(len(last)) * s
		}), []time.Duration{2 * s, 4 * s, 6 * s}},
	} {
		if got := waits(t, 3, c.option); !same(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	for i, got := range waits(t, 6, functions.Retries(functions.Exponential(s, 20*s))) {
		if got < s || got > min(20*s, s<<(i+1)) {
			t.Errorf("exponential: %v before attempt %d", got, i+2)
		}
	}
	for i, got := range waits(t, 12) { // the default
		if got < functions.DefaultRetryMin || got > functions.DefaultRetryMax {
			t.Errorf("default: %v before attempt %d", got, i+2)
		}
	}
}

func TestConstantZeroTriesAgainAtOnce(t *testing.T) {
	d := newDesk(t, handle(failing, functions.Retries(functions.Constant(0)), functions.MaxAttempts(4)))
	if i := d.once(t, "shop.order", order{}); i.State != store.Failed || i.Attempt != 4 {
		t.Errorf("job = %+v; want State = Failed and Attempt = 4", i)
	}
}

func TestANegativeWaitOfAUsersPolicyCountsAsNone(t *testing.T) {
	d := newDesk(t, handle(failing, functions.MaxAttempts(2), functions.RetryBy(func(int, string) time.Duration { return -time.Hour })))
	if i := d.once(t, "shop.order", order{}); i.State != store.Failed || i.Attempt != 2 {
		t.Errorf("job = %+v; want State = Failed and Attempt = 2", i)
	}
}

func TestASubmissionsRetryPolicyReplacesTheUsersFunction(t *testing.T) {
	d := newDesk(t, handle(failing, functions.RetryBy(func(int, string) time.Duration { return time.Hour })))
	i := d.once(t, "shop.order", order{}, functions.Retries(functions.Constant(time.Minute)))
	if got := i.At.Sub(d.clock()); got != time.Minute {
		t.Errorf("content = %v; want got = Minute", got)
	}
}

func TestTheKindsAreDescribed(t *testing.T) {
	reg := handle(echoing, functions.Queue("reports"))
	functions.Kind[map[string]int, []string]("elsewhere").Declare(reg)
	d := newDesk(t, reg)
	if _, err := d.store.AddKinds(t.Context(), 1, store.KindSpec{Name: "forgotten"}); err != nil {
		t.Fatal(err)
	}
	kinds, err := d.Client().Kinds(t.Context())
	if err != nil || len(kinds) != 3 {
		t.Fatal(kinds, err)
	}
	if k := kinds[1]; k.Name != "shop.order" || !k.Handled || k.Queue != "reports" || len(k.Fields) != 2 || k.Retention != functions.Duration(functions.DefaultRetention) {
		t.Errorf("kind = %+v; want Name = \"shop.order\", Handled, Queue = \"reports\", 2 k.Fields and Retention = DefaultRetention", k)
	}
	if kinds[0].Handled || kinds[2].Name != "forgotten" || kinds[2].Handled {
		t.Errorf("kinds = %+v; want not kinds[0].Handled, kinds[2].Name = \"forgotten\" and not kinds[2].Handled", kinds)
	}
	if names, queues := reg.Kinds(), reg.Queues(); len(names) != 2 || !slices.Equal(queues, []string{"reports"}) {
		t.Errorf("kinds %v, queues %v; want 2 kinds, and the queue of the one with a handler", names, queues)
	}
	reg.Trigger(trigger.FromCloudEvent("com.example.order", "shop.order", functions.Queue("events")),
		trigger.JSONBody("shop.order", functions.Tags("json")))
	if queues := reg.Queues(); !slices.Equal(queues, []string{"events", "reports"}) {
		t.Errorf("with a trigger that names another queue: %v", queues)
	}
	if d.Registry() != reg || d.Runtime.Config().Worker != "test" {
		t.Error("the runtime does not give what it was made with")
	}
}

// What another process has told of a kind is described to a process that has no handler for it.
func TestKindsOfOtherProcessesAreDescribed(t *testing.T) {
	worker := handle(echoing, functions.Queue("reports"), functions.Timeout(10*time.Minute), functions.Deadline(time.Hour))
	d := newDesk(t, worker)
	if err := d.Announce(t.Context()); err != nil {
		t.Fatal(err)
	}
	bare := functions.NewRegistry()
	functions.Kind[order, order]("shop.order").Declare(bare)
	for name, reg := range map[string]*functions.Registry{"that declares it": bare, "that does not know it": functions.NewRegistry()} {
		t.Run("a process "+name, func(t *testing.T) {
			kinds, err := d.beside(t, reg).Client().Kinds(t.Context())
			if err != nil || len(kinds) != 1 {
				t.Fatalf("kinds = %+v, %v, want one", kinds, err)
			}
			k := kinds[0]
			if k.Handled || k.Queue != "reports" || k.Limits.Timeout.String() != "10m" || k.Deadline.String() != "1h" || k.Retention.String() != "336h" {
				t.Errorf("kind = %+v, want no handler, queue reports, timeout 10m, deadline 1h and retention 336h", k)
			}
			if want := "{item string, count int}"; reg != bare && k.Args != want {
				t.Errorf("arguments = %q, want the shape %q", k.Args, want)
			}
		})
	}
}

// Durations are written as submissions give them.
func TestDurationsAreText(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 90 * time.Second: "1m30s", 10 * time.Minute: "10m", time.Hour: "1h", 90 * time.Minute: "1h30m", time.Hour + time.Second: "1h0m1s",
		336 * time.Hour: "336h", 1500 * time.Millisecond: "1.5s", 20 * time.Second: "20s", -time.Minute: "-1m",
	} {
		text, err := json.Marshal(functions.Duration(d))
		if err != nil || string(text) != `"`+want+`"` {
			t.Errorf("%v is written as %s, %v, want %q", d, text, err, want)
		}
		var back functions.Duration
		if err := json.Unmarshal(text, &back); err != nil || time.Duration(back) != d {
			t.Errorf("%s is read as %v, %v, want %v", text, back, err, d)
		}
	}
	var d functions.Duration
	if err := json.Unmarshal([]byte(`"soon"`), &d); !errors.Is(err, functions.ErrInvalid) {
		t.Errorf("error = %v, want ErrInvalid", err)
	}
}

func TestDefaultsAreFilledIn(t *testing.T) {
	d := newDesk(t, handle(echoing), func(s *setup) { s.config = functions.Config{} })
	c := d.Config()
	if c.Worker == "" || c.CancelPoll != 2*time.Second || c.Margin != 5*time.Second || c.StopGrace != 30*time.Second ||
		c.MaxArgs != 4<<20 || c.JoinLimit != 4<<30 || c.Parallel != 8 || c.Now == nil || c.Rand == nil {
		t.Errorf("config = %+v; want the defaults", c)
	}
}

func TestUnknownMembersOfArgumentsReachNoHandlerButStopNoJob(t *testing.T) {
	reg := functions.NewRegistry()
	functions.Kind[map[string]any, order]("shop.order").Declare(reg) // a newer submitter, which knows more
	newer := newDesk(t, reg)
	id := newer.submit(t, "shop.order", map[string]any{"item": "tea", "gift": true})
	older, err := functions.New(handle(echoing), functions.Backends{Store: newer.store, Queue: newer, Blobs: newer.blobs}, newer.Config())
	if err != nil {
		t.Fatal(err)
	}
	older.Execute(t.Context(), newer.take()[0].msg)
	if got, err := resultOf[order](newer.get(t, id)); err != nil || got.Item != "tea" {
		t.Error(got, err)
	}
}

func TestArgumentsThatDoNotDecodeFailTheJobForGood(t *testing.T) {
	reg := functions.NewRegistry()
	functions.Kind[map[string]any, order]("shop.order").Declare(reg)
	other := newDesk(t, reg)
	id := other.submit(t, "shop.order", map[string]any{"item": 7})
	rt, err := functions.New(handle(echoing), functions.Backends{Store: other.store, Queue: other, Blobs: other.blobs}, other.Config())
	if err != nil {
		t.Fatal(err)
	}
	rt.Execute(t.Context(), other.take()[0].msg)
	if i := other.get(t, id); i.State != store.Failed || i.Attempt != 1 || !strings.Contains(i.Error, `field "item"`) {
		t.Errorf("job = %+v; want State = Failed, Attempt = 1 and Error to contain 'field \"item\"'", i)
	}
}

func TestAKindWithoutAHandlerStaysQueued(t *testing.T) {
	reg := functions.NewRegistry()
	functions.Kind[order, order]("shop.order").Declare(reg)
	d := newDesk(t, reg)
	id := d.submit(t, "shop.order", order{})
	out := d.Execute(t.Context(), d.take()[0].msg)
	if out.Verdict != functions.Retry || out.After == 0 || !errors.Is(out.Err, store.ErrKind) {
		t.Errorf("outcome = %+v; want Verdict = Retry, After other than 0 and error ErrKind", out)
	}
	if i := d.get(t, id); i.State != store.Queued || !strings.Contains(i.Waiting, "this process has no handler") {
		t.Errorf("job = %+v; want State = Queued and Waiting to contain \"this process has no handler\"", i)
	}
}

func TestVerbsAfterCloseAreRefused(t *testing.T) {
	d := newDesk(t, handle(func(context.Context, *functions.Job[order]) (order, error) { return order{}, nil }))
	id := d.submit(t, "shop.order", order{})
	for range 2 {
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	_, err := d.Client().Submit(t.Context(), "shop.order", order{})
	wantErr(t, err, functions.ErrClosed)
	_, err = d.Sweep(t.Context(), functions.SweepRequest{})
	wantErr(t, err, functions.ErrClosed)
	if out := d.Execute(t.Context(), d.take()[0].msg); out.Verdict != functions.Retry || !errors.Is(out.Err, functions.ErrClosed) {
		t.Errorf("outcome = %+v; want Verdict = Retry and error ErrClosed", out)
	}
	if i := d.get(t, id); i.State != store.Queued {
		t.Error(i.State)
	}
}
