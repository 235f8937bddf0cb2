package guard

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// call makes a call with a limit of a second.
func (c *Calls) call(ctx context.Context, f func()) error {
	_, err := Within(ctx, c, "", time.Second, func(context.Context) (int, error) {
		f()
		return 0, nil
	})
	return err
}

// Calls that were left behind are bounded, and are counted until they return.
func TestCallsThatAreLeftBehindAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c Calls
		may := make(chan struct{})
		for n := range maxLeft {
			if err := c.call(t.Context(), func() { <-may }); !errors.Is(err, ErrLate) {
				t.Fatalf("call %d: %v, want %v", n, err, ErrLate)
			}
		}
		called := false
		if err := c.call(t.Context(), func() { called = true }); !errors.Is(err, ErrBusy) || called {
			t.Errorf("beside %d calls that were left behind: %v, called %t; want %v and no call", maxLeft, err, called, ErrBusy)
		}
		close(may)
		synctest.Wait()
		if c.left != 0 {
			t.Errorf("%d calls are left behind, want none: all have returned", c.left)
		}
		if err := c.call(t.Context(), func() { called = true }); err != nil || !called {
			t.Errorf("when all have returned: %v, called %t; want a call", err, called)
		}
	})
}

// A call that has returned is not left behind, and what it returned counts, also at the very moment of the end.
func TestACallThatReturnsAtTheVeryEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const ties = 1000 // some half of which the call wins: synctest fires timers of one moment in random order
		var c Calls
		won := 0
		for range ties {
			err := c.call(t.Context(), func() { time.Sleep(time.Second + time.Second/10) })
			if err == nil {
				won++
			} else if !errors.Is(err, ErrLate) {
				t.Fatalf("error %v, want none, or %v", err, ErrLate)
			}
		}
		if won < ties/10 {
			t.Errorf("%d of %d calls returned in time, want some half", won, ties)
		}
		synctest.Wait()
		if c.left != 0 {
			t.Errorf("%d calls are left behind, want none: all have returned", c.left)
		}
	})
}

// What has no time left is not called.
func TestNothingIsCalledWithoutTime(t *testing.T) {
	cause := errors.New("shutdown")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	var c Calls
	called := false
	if err := c.call(ctx, func() { called = true }); !errors.Is(err, ErrBusy) || !errors.Is(err, cause) || called {
		t.Errorf("after the end of the context: %v, called %t; want %v with its cause and no call", err, called, ErrBusy)
	}
	_, err := Within(t.Context(), &c, "", 0, func(context.Context) (int, error) { called = true; return 0, nil })
	if !errors.Is(err, ErrBusy) || called {
		t.Errorf("with a limit of 0: %v, called %t; want %v and no call", err, called, ErrBusy)
	}
}
