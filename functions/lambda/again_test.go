package lambda_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/lambda"
	"github.com/piecework/piecework/tests/printed"
)

// foreign returns a registry that runs "sleep" and knows of "elsewhere", which others run.
func foreign() *functions.Registry {
	reg := sleeper()
	functions.Kind[int, int]("elsewhere").Declare(reg)
	return reg
}

// delivered is a job's message at its n-th delivery.
func delivered(id string, n int) events.SQSMessage {
	r := record(queueARN, "", hint(id))
	r.Attributes = map[string]string{"ApproximateReceiveCount": strconv.Itoa(n)}
	return r
}

// What is given back again and again comes later each time, and what came together does not come
// together again.
func TestWhatIsGivenBackComesLaterEachTime(t *testing.T) {
	w := newWorld(t, foreign(), functions.Config{})
	id := w.kit.Submit("elsewhere", 1)
	for n, least := range map[int]time.Duration{
		0: 5 * time.Second, 1: 5 * time.Second, 2: 10 * time.Second, 4: 40 * time.Second, 9: 1280 * time.Second, 1000: 20480 * time.Second,
	} {
		var records []events.SQSMessage
		for range 20 {
			records = append(records, delivered(id, n))
		}
		clear(w.hidden)
		_, err := deliver(t.Context(), t, w.execute(t, w.options()), records)
		wantErr(t, err, "none of 20 messages")
		different := map[time.Duration]bool{}
		for _, d := range w.hidden {
			different[d] = true
			if d < least || d > least+least/2 {
				t.Errorf("after delivery %d it comes in %v, want %v and up to half as much again", n, d, least)
			}
		}
		if len(w.hidden) != 20 || len(different) < 10 {
			t.Errorf("%d messages were hidden, for %d times", len(w.hidden), len(different))
		}
	}
}

// The queue is told at once, and of all together that are known by then: what is given back must
// not wait for the others.
func TestTheQueueIsToldWhileOthersRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, foreign(), functions.Config{})
		ids := []string{w.kit.Submit("sleep", 600_000)}
		for range 25 {
			ids = append(ids, w.kit.Submit("elsewhere", 1))
		}
		start := time.Now()
		var calls []string
		o := &lambda.Options{Hide: func(_ context.Context, back []lambda.GivenBack) error {
			calls = append(calls, fmt.Sprint(len(back), " after ", time.Since(start)))
			return nil
		}}
		failed, err := deliver(t.Context(), t, w.execute(t, o), hints(ids...))
		if err != nil || len(failed) != 25 || strings.Join(calls, ", ") != "25 after 0s" {
			t.Errorf("%d given back, told %q, error %v", len(failed), calls, err)
		}
	})
}

// What there is no time for comes again at once, and still does when the process is told to stop.
func TestWhatIsHandedBackAtTheEndComesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, sleeper(), functions.Config{})
		records := hints(w.kit.Submit("sleep", 1000), w.kit.Submit("sleep", 1000), w.kit.Submit("sleep", 1000))
		ctx, cancel := context.WithCancel(t.Context())
		o := w.options()
		hide := o.Hide
		o.Concurrency, o.Hide = 1, func(ctx context.Context, back []lambda.GivenBack) error {
			if ctx.Err() != nil {
				t.Errorf("it cannot be told: %v", ctx.Err())
			}
			return hide(ctx, back)
		}
		time.AfterFunc(500*time.Millisecond, cancel)
		failed, err := deliver(ctx, t, w.execute(t, o), records)
		wantBack(t, failed, err, "m1", "m2")
		if len(w.hidden) != 2 || w.hidden["m1"] != 0 || w.hidden["m2"] != 0 {
			t.Errorf("hidden: %v", w.hidden)
		}
	})
}

// A queue that cannot be told is a delay and one line in the log; it holds up no answer.
func TestAQueueThatCannotBeTold(t *testing.T) {
	for name, hide := range map[string]func(ctx context.Context, over chan struct{}) error{
		"denied":           func(context.Context, chan struct{}) error { return errors.New("denied") },
		"panic: denied":    func(context.Context, chan struct{}) error { panic("denied") },
		"no answer in":     func(_ context.Context, over chan struct{}) error { <-over; return nil },
		"context deadline": func(ctx context.Context, _ chan struct{}) error { <-ctx.Done(); return ctx.Err() },
	} {
		synctest.Test(t, func(t *testing.T) {
			var log printed.Text
			w := newWorld(t, foreign(), functions.Config{})
			a, b := w.kit.Submit("sleep", 1), w.kit.Submit("elsewhere", 1)
			ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
			defer cancel()
			over, start := make(chan struct{}), time.Now()
			defer close(over)
			o := &lambda.Options{Log: logger(&log), Hide: func(ctx context.Context, _ []lambda.GivenBack) error { return hide(ctx, over) }}
			failed, err := deliver(ctx, t, w.execute(t, o), hints(a, b))
			wantBack(t, failed, err, "m1")
			if took := time.Since(start); took > 4*time.Second {
				t.Errorf("%s: it took %v", name, took)
			}
			const told = "the queue could not be told"
			if !log.HasLine(told, name, "level=WARN", "queue=piecework-default", "given_back=1") || strings.Count(log.String(), told) != 1 {
				t.Errorf("%s: log: %s", name, log.String())
			}
		})
	}
}

// The queue can be told until a quarter of the margin is left: the last attempts end at a half of
// it.
func TestTheQueueCanBeToldAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, sleeper(), functions.Config{Margin: time.Second})
		records := hints(w.kit.Submit("sleep", 9000), w.kit.Submit("sleep", 1))
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		var told time.Time
		o := &lambda.Options{Concurrency: 1, Hide: func(ctx context.Context, _ []lambda.GivenBack) error {
			told, _ = ctx.Deadline()
			return nil
		}}
		_, err := deliver(ctx, t, w.execute(t, o), records)
		end, _ := ctx.Deadline()
		if left := end.Sub(told); err != nil || left != 250*time.Millisecond {
			t.Errorf("told until %v before the timeout, error %v", left, err)
		}
	})
}
