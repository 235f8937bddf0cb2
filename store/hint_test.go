package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"gocloud.dev/docstore/driver"

	"github.com/piecework/piecework/store/relay"
)

// busy says how long to wait.
type busy time.Duration

func (b busy) Error() string             { return "too many requests" }
func (b busy) RetryAfter() time.Duration { return time.Duration(b) }

// pausesAfter are those of a read that is refused n times, n < 0: always.
func pausesAfter(t *testing.T, refusal error, n int) ([]time.Duration, error) {
	t.Helper()
	var pauses []time.Duration
	l := newLab(t, openMemory(t))
	l.queue(t, "job-1")
	l.opts.Pause = func(_ context.Context, d time.Duration) error {
		pauses = append(pauses, d)
		return nil
	}
	l.actions = func(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError {
		if n == 0 {
			return next(ctx, acts)
		}
		n--
		return allFail(acts, refusal)
	}
	_, err := l.Get(t.Context(), "job-1")
	return pauses, err
}

func TestAStoreThatSaysWhenIsNotAskedBefore(t *testing.T) {
	const told = 700 * time.Millisecond
	var firsts []time.Duration
	for range 100 {
		pauses, err := pausesAfter(t, fmt.Errorf("wrapped: %w", busy(told)), 3)
		if err != nil || len(pauses) != 3 {
			t.Fatalf("error %v after pauses %v, want nil after 3", err, pauses)
		}
		if least, most := slices.Min(pauses), slices.Max(pauses); least < told || most > 2*told {
			t.Errorf("pauses %v, want %v to %v", pauses, told, 2*told)
		}
		firsts = append(firsts, pauses[0].Round(10*time.Millisecond))
	}
	slices.Sort(firsts)
	if n := len(slices.Compact(firsts)); n < 20 {
		t.Errorf("100 callers who were told the same come back at %d moments, want at least 20", n)
	}
}

func TestWhatAStoreSaysDoesNotShortenPauses(t *testing.T) {
	pauses, err := pausesAfter(t, busy(time.Millisecond), -1)
	if !errors.Is(err, ErrUnavailable) || slices.Max(pauses) < time.Second {
		t.Errorf("error %v after pauses %v, want %v after pauses of a second and more", err, pauses, ErrUnavailable)
	}
	for _, nothing := range []time.Duration{0, -time.Hour} {
		if pauses, err := pausesAfter(t, busy(nothing), 1); err != nil || pauses[0] > 20*time.Millisecond {
			t.Errorf("told %v: error %v after pauses %v, want nil after at most 20ms", nothing, err, pauses)
		}
	}
}

// A store that says too much is asked once more when patience is nearly at its end.
func TestNoStoreMakesAVerbWaitBeyondItsPatience(t *testing.T) {
	for _, told := range []time.Duration{29 * time.Second, time.Hour, 1 << 62} {
		pauses, err := pausesAfter(t, busy(told), 1)
		if err != nil || len(pauses) != 1 || pauses[0] < 26*time.Second || pauses[0] > 30*time.Second {
			t.Errorf("told %v: error %v after pauses %v, want nil after one of 26s to 30s", told, err, pauses)
		}
		pauses, err = pausesAfter(t, busy(told), -1)
		var total time.Duration
		for _, p := range pauses {
			total += p
		}
		if !errors.Is(err, ErrUnavailable) || total > 30*time.Second {
			t.Errorf("told %v: error %v after pauses %v, want %v after at most 30s", told, err, pauses, ErrUnavailable)
		}
	}
}

func TestAListIsAskedForAgainWhenTheStoreSays(t *testing.T) {
	l := newLab(t, openMemory(t))
	ids := make([]string, 5)
	for i := range ids {
		ids[i] = fmt.Sprint("job-", i)
		l.queue(t, ids[i])
	}
	refused := false
	l.actions = func(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError {
		if !refused {
			refused = true
			return driver.ActionListError{{Index: -1, Err: busy(time.Second)}} // as MongoDB's driver does
		}
		return next(ctx, acts)
	}
	for _, r := range l.GetMany(t.Context(), ids) {
		if r.Err != nil {
			t.Error(r.Err)
		}
	}
	if l.paused < time.Second || l.paused > 2*time.Second {
		t.Errorf("paused for %v, want 1s to 2s", l.paused)
	}
}
