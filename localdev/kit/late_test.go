package kit_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/localdev/kit"
)

// blocked registers a kind whose handler waits in real time for much longer than its timeout.
func blocked() *functions.Registry {
	jobs := functions.NewRegistry()
	functions.Handle(jobs, "sleep", func(context.Context, *functions.Job[int]) (int, error) {
		<-time.After(time.Second)
		return 0, nil
	}, functions.Timeout(200*time.Millisecond))
	return jobs
}

// The kit's clock does not see how long a handler takes in real time, so the kit itself does.
func TestKitTellsOfAHandlerThatOutlivesItsTimeout(t *testing.T) {
	begin := time.Now()
	for name, run := range map[string]func(testing.TB){
		"kit":     func(tb testing.TB) { k := kit.New(tb, blocked()); k.Wait(k.Submit("sleep", 1)) },
		"torture": func(tb testing.TB) { kit.Torture(tb, blocked(), []functions.Submission{{Kind: "sleep", Args: 1}}) },
	} {
		text := fails(t, run)
		for _, want := range []string{"ran for longer than its timeout of 200ms in real time", "bubble of testing/synctest", "is running"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: the failure does not say %q:\n%s", name, want, text)
			}
		}
	}
	if d := time.Since(begin); d > 5*time.Second {
		t.Errorf("it took %v, want it to fail when the timeouts have passed", d)
	}
}
