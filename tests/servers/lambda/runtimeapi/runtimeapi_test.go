package runtimeapi_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/piecework/piecework/tests/servers/lambda/build"
	"github.com/piecework/piecework/tests/servers/lambda/runtimeapi"
)

// deploy deploys the puppet. Unless the test is about its timeout, that is none that a busy machine would meet.
func deploy(t *testing.T, cfg runtimeapi.Config) *runtimeapi.Function {
	t.Helper()
	cfg.Name = "puppet"
	if cfg.Timeout == 0 {
		cfg.Timeout = 30 * time.Second
	}
	cfg.Program = build.Must(t, "tests/servers/lambda/puppet")
	cfg.Log = t.Output()
	f, err := runtimeapi.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

// invoke calls it, and wants the service to answer.
func invoke(t *testing.T, f *runtimeapi.Function, order string) runtimeapi.Result {
	t.Helper()
	r, err := f.Invoke(t.Context(), []byte(order))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// number calls it and reads a number.
func number(t *testing.T, f *runtimeapi.Function, order string) int64 {
	t.Helper()
	r := invoke(t, f, order)
	var n int64
	if err := json.Unmarshal(r.Payload, &n); err != nil {
		t.Fatalf("json.Unmarshal: got %s: %v, %+v, want no error", r.Payload, err, r)
	}
	return n
}

func TestWarmEnvironmentIsUsedAgain(t *testing.T) {
	t.Parallel()
	f := deploy(t, runtimeapi.Config{})
	first, second := number(t, f, `{"do":"pid"}`), number(t, f, `{"do":"pid"}`)
	if first != second {
		t.Errorf("processes %d and %d, want one", first, second)
	}
	if s := f.Stats(); s.Cold != 1 || s.Invocations != 2 || s.Peak != 1 {
		t.Errorf("f.Stats: got %+v, want s.Cold == 1 && s.Invocations == 2 && s.Peak == 1", s)
	}
}

func TestContextTellsTheInvocation(t *testing.T) {
	t.Parallel()
	f := deploy(t, runtimeapi.Config{Timeout: time.Minute})
	r := invoke(t, f, `{"do":"context"}`)
	var got struct {
		ID       string `json:"id"`
		ARN      string `json:"arn"`
		Deadline int64  `json:"deadline"`
	}
	if err := json.Unmarshal(r.Payload, &got); err != nil {
		t.Fatal(err)
	}
	if got.ID != r.RequestID || got.ARN != f.ARN() {
		t.Errorf("got %+v, want %s and %s", got, r.RequestID, f.ARN())
	}
	if left := time.Until(time.UnixMilli(got.Deadline)); left < 30*time.Second || left > time.Minute {
		t.Errorf("%v left of a minute", left)
	}
	if !r.Cold || r.Init <= 0 || r.Total < r.Duration {
		t.Errorf("got %+v, want r.Cold && r.Init > 0 && r.Total >= r.Duration", r)
	}
}

// The processes get what Lambda sets and what the function says, and nothing else.
func TestEnvironmentVariables(t *testing.T) {
	t.Setenv("PUPPET_OF_THE_TEST", "x")
	f := deploy(t, runtimeapi.Config{Env: []string{"PUPPET_OWN=y"}})
	got := string(invoke(t, f, `{"do":"environment"}`).Payload)
	for _, want := range []string{"PUPPET_OWN=y", "AWS_LAMBDA_FUNCTION_NAME=puppet", "_HANDLER=bootstrap", "AWS_REGION=us-east-1"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in %s", want, got)
		}
	}
	if strings.Contains(got, "PUPPET_OF_THE_TEST") {
		t.Error("the test's own variables reach the function")
	}
}

func TestConcurrentInvocationsHaveEnvironmentsOfTheirOwn(t *testing.T) {
	t.Parallel()
	f := deploy(t, runtimeapi.Config{Limit: 3})
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			if _, err := f.Invoke(t.Context(), []byte(`{"do":"sleep","millis":1500}`)); err != nil {
				t.Error(err)
			}
		})
	}
	until(t, func() bool { return f.Stats().Invocations == 3 })
	if _, err := f.Invoke(t.Context(), []byte(`{}`)); !errors.Is(err, runtimeapi.ErrThrottled) {
		t.Errorf("fourth invocation: %v, want ErrThrottled", err)
	}
	all.Wait()
	if s := f.Stats(); s.Cold != 3 || s.Peak != 3 || s.Throttles != 1 {
		t.Errorf("f.Stats: got %+v, want s.Cold == 3 && s.Peak == 3 && s.Throttles == 1", s)
	}
}

// A goroutine that counts milliseconds does not count while nothing is invoked.
func TestFrozenBetweenInvocations(t *testing.T) {
	t.Parallel()
	f := deploy(t, runtimeapi.Config{})
	before := number(t, f, `{"do":"ticks"}`)
	pause(t, 3*time.Second)
	if after := number(t, f, `{"do":"ticks"}`); after-before > 1500 { // it runs for a moment before and after
		t.Errorf("the process ran on: %d ms of three seconds", after-before)
	}
	before = number(t, f, `{"do":"ticks"}`)
	invoke(t, f, `{"do":"sleep","millis":500}`)
	if after := number(t, f, `{"do":"ticks"}`); after-before < 20 { // a process that has to wait misses ticks
		t.Errorf("the process did not run during an invocation: %d ms of half a second", after-before)
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		order, want string
		check       func(runtimeapi.Stats) bool
	}{
		{`{"do":"fail"}`, "as told", func(s runtimeapi.Stats) bool { return s.Errors == 1 && s.Cold == 1 }},
		{`{"do":"panic"}`, "as told", func(s runtimeapi.Stats) bool { return s.Errors == 1 && s.Cold == 2 }},
		{`{"do":"exit"}`, "Runtime.ExitError", func(s runtimeapi.Stats) bool { return s.Exits == 1 && s.Cold == 2 }},
		{`{"do":"sleep","millis":60000}`, "Task timed out after 3.00 seconds", func(s runtimeapi.Stats) bool { return s.Timeouts == 1 && s.Cold == 2 }},
		{`{"do":"large","size":7000000}`, "Function.ResponseSizeTooLarge", func(s runtimeapi.Stats) bool { return s.Errors == 1 }},
	} {
		f := deploy(t, runtimeapi.Config{Timeout: 3 * time.Second})
		r := invoke(t, f, c.order)
		if r.FunctionError != "Unhandled" || !strings.Contains(string(r.Payload), c.want) {
			t.Errorf("%s: %q %.200s, want %s", c.order, r.FunctionError, r.Payload, c.want)
		}
		if r = invoke(t, f, `{}`); r.FunctionError != "" { // the function goes on
			t.Errorf("after %s: %s", c.order, r.Payload)
		}
		if s := f.Stats(); !c.check(s) {
			t.Errorf("f.Stats: got %s: %+v, want c.check(s)", c.order, s)
		}
	}
}

func TestPayloadLimit(t *testing.T) {
	t.Parallel()
	f := deploy(t, runtimeapi.Config{})
	if _, err := f.Invoke(t.Context(), make([]byte, runtimeapi.MaxPayload+1)); !errors.Is(err, runtimeapi.ErrPayload) {
		t.Errorf("got %v, want ErrPayload", err)
	}
	if r := invoke(t, f, `{"do":"large","size":6000000}`); r.FunctionError != "" || len(r.Payload) != 6_000_002 {
		t.Errorf("%d bytes, %q", len(r.Payload), r.FunctionError)
	}
}

func TestStartIsTriedTwice(t *testing.T) {
	t.Parallel()
	f := deploy(t, runtimeapi.Config{Env: []string{"PUPPET_INIT=once", "PUPPET_DIR=" + filepath.Join(t.TempDir(), "first")}})
	if r := invoke(t, f, `{}`); r.FunctionError != "" {
		t.Errorf(`invoke: got %s, want r.FunctionError == ""`, r.Payload)
	}
	if s := f.Stats(); s.InitFailures != 1 {
		t.Errorf("f.Stats: got %+v, want s.InitFailures == 1", s)
	}
	for _, c := range []struct {
		env, want string
		limit     time.Duration
	}{{"PUPPET_INIT=exit", "exit status 3", time.Minute}, {"PUPPET_INIT=hang", "Sandbox.Timedout", time.Second}} {
		f := deploy(t, runtimeapi.Config{Init: c.limit, Timeout: c.limit, Env: []string{c.env}})
		if r := invoke(t, f, `{}`); r.FunctionError == "" || !strings.Contains(string(r.Payload), c.want) {
			t.Errorf("%s: %s, want %s", c.env, r.Payload, c.want)
		}
		if s := f.Stats(); s.InitFailures != 2 {
			t.Errorf("f.Stats: got %s: %+v, want s.InitFailures == 2", c.env, s)
		}
	}
}

func TestChaosFollowsTheSeed(t *testing.T) {
	t.Parallel()
	var kills [2]string
	for i := range kills {
		f := deploy(t, runtimeapi.Config{Chaos: runtimeapi.Chaos{Seed: 7, Share: 0.5, Within: 200 * time.Millisecond}})
		for range 8 {
			if r := invoke(t, f, `{"do":"sleep","millis":1500}`); r.FunctionError != "" { // long past the last kill
				kills[i] += "x"
			} else {
				kills[i] += "."
			}
		}
		if s := f.Stats(); s.Kills != strings.Count(kills[i], "x") {
			t.Errorf(`f.Stats: got %s, %+v, want s.Kills == strings.Count(kills[i], "x")`, kills[i], s)
		}
	}
	if kills[0] != kills[1] || !strings.Contains(kills[0], "x") || !strings.Contains(kills[0], ".") {
		t.Errorf("killed %s and %s, want the same, some and not all", kills[0], kills[1])
	}
}

// An answer that is lost comes after all has been done.
func TestAnswersAreLost(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "done")
	f := deploy(t, runtimeapi.Config{Chaos: runtimeapi.Chaos{Lost: 1}})
	r := invoke(t, f, fmt.Sprintf(`{"do":"touch","file":%q}`, file))
	if r.FunctionError == "" || !strings.Contains(string(r.Payload), "signal: killed") {
		t.Errorf(`got %+v, %s, want r.FunctionError != "" && strings.Contains(string(r.Payload), "signal: killed")`, r, r.Payload)
	}
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
	if s := f.Stats(); s.Kills != 1 || s.Exits != 0 {
		t.Errorf("f.Stats: got %+v, want s.Kills == 1 && s.Exits == 0", s)
	}
}

func TestShutdown(t *testing.T) {
	t.Parallel()
	for env, polite := range map[string]bool{"PUPPET_SIGTERM=leave": true, "PUPPET_SIGTERM=stay": false, "PUPPET_SIGTERM=": false} {
		cfg := runtimeapi.Config{Env: []string{env}}
		if polite {
			cfg.Grace = 20 * time.Second // what Lambda leaves, a busy machine may need for anything
		}
		f := deploy(t, cfg)
		invoke(t, f, `{}`)
		f.Recycle(t.Context())
		if s := f.Stats(); (s.Shutdowns == 1) != polite || s.Shutdowns+s.Forced != 1 {
			t.Errorf("f.Stats: got %s: %+v, want (s.Shutdowns == 1) == polite && s.Shutdowns + s.Forced == 1", env, s)
		}
		if r := invoke(t, f, `{}`); !r.Cold {
			t.Errorf("%s: the environment lives on", env)
		}
	}
}

func TestTerminate(t *testing.T) {
	t.Parallel()
	f := deploy(t, runtimeapi.Config{Env: []string{"PUPPET_SIGTERM=leave"}, Timeout: 20 * time.Second})
	if n := f.Terminate(); n != 0 {
		t.Errorf("%d environments were busy, want none", n)
	}
	done := make(chan runtimeapi.Result)
	go func() {
		r, err := f.Invoke(t.Context(), []byte(`{"do":"sleep","millis":60000}`))
		if err != nil {
			t.Error(err)
		}
		done <- r
	}()
	until(t, func() bool { return f.Terminate() == 1 })
	if r := <-done; !strings.Contains(string(r.Payload), "Runtime.ExitError") {
		t.Errorf(`got %s, want strings.Contains(string(r.Payload), "Runtime.ExitError")`, r.Payload)
	}
}

func TestClosedFunctionIsGone(t *testing.T) {
	t.Parallel()
	f := deploy(t, runtimeapi.Config{})
	f.Close()
	if _, err := f.Invoke(t.Context(), []byte(`{}`)); !errors.Is(err, runtimeapi.ErrClosed) {
		t.Errorf("got %v, want ErrClosed", err)
	}
}

// until waits for a condition.
func until(t *testing.T, ok func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for !ok() {
		select {
		case <-deadline:
			t.Fatal("not so after 30 s")
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// pause lets time pass: the subject is another process, which must do nothing meanwhile.
func pause(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-t.Context().Done():
	}
}
