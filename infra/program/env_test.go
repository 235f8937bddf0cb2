package program_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/infra/program"
)

// The margin of the environment is the runtime's.
func TestTheMarginIsTheRuntimes(t *testing.T) {
	for value, want := range map[string]time.Duration{"": 5 * time.Second, "1500ms": 1500 * time.Millisecond} {
		w := newWorld(t)
		w.env["PIECEWORK_MARGIN"] = value
		d, err := program.Open(t.Context(), w.environ(), &buffer{}, w.jobs, w.register...)
		if err != nil {
			t.Fatal(err)
		}
		if got := d.Runtime.Config().Margin; got != want {
			t.Errorf("PIECEWORK_MARGIN=%s: %v", value, got)
		}
		if err := d.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}
}

// A function's timeout that leaves jobs no time beside the margin is told before a job meets it.
func TestTheMarginMustFitTheFunctionsTimeout(t *testing.T) {
	for timeout, text := range map[string]string{
		"30s": `PIECEWORK_FUNCTION_TIMEOUT="30s" leaves jobs no time: none is started in the last 30s before it, which is twice PIECEWORK_MARGIN`,
		"31s": "",
		"x":   `PIECEWORK_FUNCTION_TIMEOUT="x": want a duration such as`,
	} {
		w := newWorld(t)
		w.env["PIECEWORK_MARGIN"], w.env["PIECEWORK_FUNCTION_TIMEOUT"] = "15s", timeout
		status, out, errs := w.run("doctor", "--patience", "1s")
		if (status == 2) != (text != "") {
			t.Errorf("%s: status %d: %s%s", timeout, status, out, errs)
		}
		want(t, errs, text)
	}
}

// Mistakes in the registration of jobs are told before anything is opened.
func TestMistakesOfTheRegistryAreToldFirst(t *testing.T) {
	w := newWorld(t)
	w.env["PIECEWORK_STORE"] = "sqlite:///dev/null/records.db" // cannot be opened
	functions.Handle(w.jobs, "Not A Kind", func(context.Context, *functions.Job[int]) (int, error) { return 0, nil })
	status, _, errs := w.run("worker")
	if status != 2 || strings.Contains(errs, "/dev/null") {
		t.Errorf("status %d: %s", status, errs)
	}
	want(t, errs, "Not A Kind")
}
