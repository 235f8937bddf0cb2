package lambda_test

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/lambda"
	"github.com/piecework/piecework/tests/printed"
)

// An invocation answers before its deadline, whatever end hooks and functions of the options do.
func TestAnInvocationAnswersBeforeItsDeadlineWhateverHooksDo(t *testing.T) {
	for name, misbehave := range map[string]func(context.Context){
		"panic":           func(context.Context) { panic("boom") },
		"Goexit":          func(context.Context) { runtime.Goexit() },
		"hang":            func(context.Context) { time.Sleep(24 * time.Hour) }, // virtual time
		"hang until told": func(ctx context.Context) { <-ctx.Done() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				reg := sleeper()
				reg.OnEnd(func(ctx context.Context, _ functions.Info) error {
					misbehave(ctx)
					return ctx.Err()
				})
				log := &printed.Text{}
				w := newWorld(t, reg, functions.Config{Log: logger(log)})
				quick, slow := w.kit.Submit("sleep", 1), w.kit.Submit("sleep", 15_000)
				told, stop := context.WithTimeout(t.Context(), time.Hour)
				defer stop()
				h := w.execute(t, &lambda.Options{
					OnOutcome: func(string, functions.Outcome) { misbehave(told) }, QueueName: func(string) string { misbehave(told); return "" },
				})
				start := time.Now()
				failed, err := deliver(invocation(t, 30*time.Second), t, h, hints(quick, slow))
				wantBack(t, failed, err)
				if left := 30*time.Second - time.Since(start); left < 0 {
					t.Errorf("answered %v after the deadline", -left)
				}
				if got := w.states(t, quick, slow); got != "succeeded succeeded" { //nolint:dupword // two states
					t.Errorf("jobs are %s, want both succeeded", got)
				}
				for _, id := range []string{quick, slow} {
					if !log.HasLine("end hook failed", id) {
						t.Errorf("log = %s, want a line about the hook of %s", log, id)
					}
				}
				for _, text := range []string{"OnOutcome failed", "QueueName failed"} {
					if !log.HasLine(text) {
						t.Errorf("log = %s, want %q", log, text)
					}
				}
				time.Sleep(48 * time.Hour) // virtual time: what was left behind returns
				synctest.Wait()
			})
		})
	}
}
