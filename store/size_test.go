package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"

	"github.com/piecework/piecework/store/internal/engine"
)

// worst is a text that takes six times its length in a record.
var worst = strings.Repeat("\x01", 64<<10)

// fullOf is a running job with long texts everywhere, whose open outputs fill its record up to n
// bytes.
func fullOf(t *testing.T, n int) Job {
	t.Helper()
	j := full()
	j.State, j.Ended, j.Cancel, j.Result, j.Outputs, j.OutputsIn, j.Outbox, j.Expires = Running, 0, 0, Payload{}, nil, nil, nil, 0
	j.Lease.Until, j.Deadline, j.Version = t0, 0, 1
	j.Open, j.OpenIn, j.Attempts = []Output{{Name: "a.csv"}}, nil, nil
	j.Policy = Policy{}
	for i := range MaxAttemptsKept {
		j.Attempts = append(j.Attempts, Attempt{Number: i, Token: fmt.Sprint("s", i), Outcome: OutcomePanic, Error: Clip(worst, MaxErrorText)})
	}
	j.Attempts[MaxAttemptsKept-1].Stack = Clip(worst, MaxStack)
	size := func() int {
		r, err := encode(j, 1<<30)
		if err != nil {
			t.Fatal(err)
		}
		return len(r)
	}
	part := Blob{Key: "jobs/job-1/a-token/a.csv.part-0001", Size: 1, SHA256: strings.Repeat("0", 64)}
	for left := n - size(); left > 200; left = n - size() {
		each := len(part.Key) + len(part.SHA256) + 40
		for range max(left/each-1, 1) {
			j.Open[0].Parts = append(j.Open[0].Parts, part)
		}
	}
	j.Parent += strings.Repeat("x", max(n-size(), 0))
	if got := size(); got != n {
		t.Fatalf("the record has %d bytes, want %d", got, n)
	}
	j.rev = int64(1)
	return j
}

// bounded are the writes that must always fit.
func bounded(timing Timing) map[string]engine.Step[Job] {
	end := func(o Outcome, f Finish) engine.Step[Job] {
		f.Token, f.Outcome, f.Now, f.Dirty = "t", o, t0+1, true
		f.Error, f.Stack, f.Reason = worst, worst, worst
		f.Progress = &Progress{Done: 1 << 60, Total: 1 << 60, Message: Clip(worst, 500), At: t0}
		return func(j Job) (Job, bool, error) { return j.finish(timing, f) }
	}
	moves := map[string]engine.Step[Job]{
		"heartbeat": func(j Job) (Job, bool, error) {
			return j.heartbeat(timing, Heartbeat{Token: "t", Now: t0 + 1, Progress: &Progress{Done: 1 << 60, Message: Clip(worst, 500)}})
		},
		"cancel": func(j Job) (Job, bool, error) { return j.requestCancel(worst, t0+1) },
		"lost": func(j Job) (Job, bool, error) {
			next, did, err := j.advanceDue(timing, AdvanceDue{Now: t0.Add(time.Hour), Delay: func(Job) time.Duration { return 0 }})
			return next, did == ActionLost || did == ActionGaveUp, err
		},
		"permanent": end(OutcomeError, Finish{Permanent: true}),
		"snooze":    end(OutcomeSnoozed, Finish{Delay: time.Hour}),
	}
	for _, o := range outcomes {
		moves[string(o)] = end(o, Finish{})
	}
	return moves
}

// A record that an older version has filled to its last byte can still end: nothing that another
// attempt needs is lost.
func TestEndsFitIntoARecordThatIsFull(t *testing.T) {
	s, timing := &Store{opts: Options{MaxRecord: MaxRecord}}, Timing{}.withDefaults()
	const oldMax = 380_000
	for _, n := range []int{1000 + 50_000, MaxGrown, oldMax - 1, oldMax, 390_000, MaxRecord - 1, MaxRecord} {
		have := fullOf(t, n)
		have.Due = 1
		for name, move := range bounded(timing) {
			t.Run(fmt.Sprint(name, " at ", n), func(t *testing.T) {
				next, changed, err := move(have)
				if err != nil || !changed {
					t.Fatalf("changed %v, error %v, want true and nil", changed, err)
				}
				next.Write = "token-of-the-write"
				got, r, err := s.fit(have, next)
				if err != nil || len(r) > MaxRecord {
					t.Fatalf("%d bytes, error %v, want at most %d", len(r), err, MaxRecord)
				}
				again, _, err := s.fit(have, next)
				if err != nil || !reflect.DeepEqual(got, again) {
					t.Errorf("another record the second time, error %v, want the same", err)
				}
				if got.State != next.State || got.Due != next.Due || len(got.Args.Inline) != len(next.Args.Inline) {
					t.Errorf("the record is %s, due %d, want %s, due %d", got.State, got.Due, next.State, next.Due)
				}
				if next.Live() && (!reflect.DeepEqual(got.Checkpoint, next.Checkpoint) || !reflect.DeepEqual(got.Open, next.Open)) {
					t.Error("the checkpoint was shed, want only history to be")
				}
				if n <= MaxGrown && !reflect.DeepEqual(got, next) {
					t.Error("something was shed, want all to be kept since it had room")
				}
			})
		}
	}
}

// Whatever ends one after the other, a record that a checkpoint has filled never sheds anything.
func TestHeadroomIsEnoughForAllThatFollowsACheckpoint(t *testing.T) {
	s, timing := &Store{opts: Options{MaxRecord: MaxRecord}}, Timing{}.withDefaults()
	j := fullOf(t, MaxGrown)
	j.Attempts = nil
	for i := range 3 * MaxAttemptsKept {
		lost, _, err := bounded(timing)["panic"](j)
		if err != nil {
			t.Fatal(err)
		}
		lost.Attempts[len(lost.Attempts)-1].Token = fmt.Sprint("s", i)
		lost.Reason, lost.CancelReason = Clip(worst, MaxErrorText), Clip(worst, MaxErrorText)
		got, _, err := s.fit(j, lost)
		if err != nil || !reflect.DeepEqual(got, lost) {
			t.Fatalf("attempt %d: error %v, or something was shed, want all kept", i, err)
		}
		if j, _, err = lost.claim(timing, Claim{Token: "t", Worker: worst, Now: t0.Add(24 * time.Hour)}); err != nil {
			t.Fatal(err)
		}
		if got, _, err = s.fit(lost, j); err != nil || !reflect.DeepEqual(got, j) {
			t.Fatalf("claim %d: error %v, or something was shed, want all kept", i, err)
		}
	}
}

func TestSheddingTakesHistoryFirstAndTheCheckpointLast(t *testing.T) {
	timing := Timing{}.withDefaults()
	have := fullOf(t, 60_000)
	next, _, err := bounded(timing)["panic"](have)
	if err != nil {
		t.Fatal(err)
	}
	rank := func(j Job) (lost int) { // how many of the things in the order of their worth are gone
		for i, gone := range []bool{
			j.Attempts[len(j.Attempts)-1].Stack == "", len(j.Attempts[0].Error) < 200, len(j.Attempts) == 1,
			len(j.Error) < 300, j.Checkpoint.IsZero(),
		} {
			if gone {
				lost = i + 1
			}
		}
		return lost
	}
	last := 0
	for limit := 70_000; ; limit -= 50 {
		got, _, err := (&Store{opts: Options{MaxRecord: limit}}).fit(have, next)
		if err != nil {
			if last != 5 {
				t.Errorf("at %d bytes: error %v, want it to shed more first", limit, err)
			}
			return
		}
		if now := rank(got); now < last || now > last+1 && now < 4 {
			t.Fatalf("at %d bytes it shed as far as %d, want between %d, as with less room, and one more", limit, now, last)
		} else if last = now; last == 5 && !strings.Contains(got.Error, "the checkpoint was given up") {
			t.Fatalf("error %q does not say what was given up, want it to", got.Error)
		}
	}
}

func TestGrowthLeavesHeadroom(t *testing.T) {
	onEach(t, func(t *testing.T, l *lab) {
		big := func(n int) *Payload {
			return &Payload{Inline: jsontext.Value(`"` + strings.Repeat("x", n) + `"`)}
		}
		j := l.NewJob(Job{ID: "job-1", Kind: "a", Args: *big(MaxGrown)}, false, t0)
		if _, err := l.Create(t.Context(), j); !errors.Is(err, ErrTooLarge) || !strings.Contains(err.Error(), fmt.Sprint("at most ", MaxGrown)) {
			t.Fatalf("create: error %v, want %v with the limit", err, ErrTooLarge)
		}
		j.Args = *big(100)
		if _, err := l.Create(t.Context(), j); err != nil {
			t.Fatal(err)
		}
		have, err := l.Claim(t.Context(), j.ID, Claim{Token: "t", Now: t0})
		if err != nil {
			t.Fatal(err)
		}
		if _, err = l.Heartbeat(t.Context(), have, Heartbeat{Token: "t", Now: t0, Checkpoint: big(MaxGrown), Saved: 1}); !errors.Is(err, ErrTooLarge) {
			t.Fatalf("checkpoint: error %v, want %v", err, ErrTooLarge)
		}
		if have, err = l.Heartbeat(t.Context(), have, Heartbeat{Token: "t", Now: t0, Checkpoint: big(MaxGrown - 1000), Saved: 1}); err != nil {
			t.Fatal(err)
		}
		f := Finish{Token: "t", Now: t0, Outcome: OutcomeContinued, Checkpoint: big(MaxGrown)}
		if _, err = l.Finish(t.Context(), have, f); !errors.Is(err, ErrTooLarge) {
			t.Fatalf("continue: error %v, want %v", err, ErrTooLarge)
		}
		if have, err = l.RequestCancel(t.Context(), j.ID, worst, t0); err != nil {
			t.Fatal(err)
		}
		f = Finish{Token: "t", Now: t0, Outcome: OutcomePanic, Error: worst, Stack: worst}
		if have, err = l.Finish(t.Context(), have, f); err != nil || have.State != Cancelled {
			t.Fatalf("the end of a full record: state %s, error %v, want %s", have.State, err, Cancelled)
		}
	})
}

func TestClipCountsWhatIsEncoded(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		text := string(rapid.SliceOf(rapid.SampledFrom([]byte("a\"\\\x01\n\x7f\xff\xc3\xa4\xe2\x80\xa8<&"))).Draw(rt, "text"))
		n := rapid.IntRange(20, 60).Draw(rt, "n")
		got := Clip(text, n)
		data, err := json.Marshal(Clip(text, n))
		if err != nil {
			rt.Fatal(err)
		}
		r, err := encode(Job{Error: got}, MaxRecord)
		if err != nil {
			rt.Fatal(err)
		}
		empty, err := encode(Job{Error: "x"}, MaxRecord)
		if err != nil {
			rt.Fatal(err)
		}
		if took := len(r) - len(empty) + 1; got != "" && took > n {
			rt.Fatalf("%q takes %d bytes of a record, want at most %d (%s)", got, took, n, data)
		}
		if cut := strings.HasSuffix(got, "… (cut)"); !cut && got != strings.ToValidUTF8(text, replacement) {
			rt.Fatalf("Clip(%q, %d) = %q, want the whole text or the mark of a cut", text, n, got)
		}
	})
}

// The files of a checkpoint that was given up are the purge's. Once the purge has been, a
// checkpoint stays: nothing would remove its files any more.
func TestTheFilesOfACheckpointThatIsGivenUpAreRemoved(t *testing.T) {
	j := Job{
		ID: "job-1", Kind: "a", State: Retrying, Checkpoint: Payload{Blob: &Blob{Key: "jobs/job-1/p-checkpoint"}},
		Open: []Output{{Name: "a.csv", Parts: []Blob{{Key: "jobs/job-1/a-t/a.csv"}}}}, rev: 1,
	}
	s := &Store{opts: Options{MaxRecord: 150}}
	got, _, err := s.fit(j, j)
	if err != nil || !got.Checkpoint.IsZero() || len(got.Open) != 0 {
		t.Fatalf("a live job: %v, checkpoint %+v, open %+v, want none", err, got.Checkpoint, got.Open)
	}
	if !got.Dirty {
		t.Error("the job is not dirty, want the checkpoint's files to be removed")
	}
	j.State, j.Outbox = Failed, []Effect{EffectPurge}
	if got, _, err = s.fit(j, j); err != nil || !got.Checkpoint.IsZero() {
		t.Errorf("a job that is to be purged: %v, checkpoint %+v, want none", err, got.Checkpoint)
	}
	j.Outbox, j.Dirty = nil, true
	if got, _, err = s.fit(j, j); !errors.Is(err, ErrTooLarge) || got.Checkpoint.IsZero() {
		t.Errorf("a job that has been purged: %v, checkpoint %+v, want %v and the checkpoint", err, got.Checkpoint, ErrTooLarge)
	}
}
