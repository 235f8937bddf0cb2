package program_test

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/infra/program"
	"github.com/piecework/piecework/pubsubq"
	"github.com/piecework/piecework/store"
)

// beside opens the deployment in another process.
func (w *world) beside() (*functions.Client, *drivers.Opened) {
	w.t.Helper()
	env, err := program.ReadEnvironment(w.environ())
	if err != nil {
		w.t.Fatal(err)
	}
	opened, err := drivers.New(w.register...).Open(w.t.Context(), env.Config)
	if err != nil {
		w.t.Fatal(err)
	}
	rt, err := functions.New(w.jobs, opened.Backends, functions.Config{})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		if err := errors.Join(rt.Close(), opened.Close(context.Background())); err != nil {
			w.t.Error(err)
		}
	})
	return rt.Client(), opened
}

func TestWorkerRunsWhatIsSubmittedBesideItAndDrains(t *testing.T) {
	w := newWorld(t)
	w.env["PIECEWORK_SUBMIT"] = "true"
	started, release := make(chan struct{}), make(chan struct{})
	functions.Handle(w.jobs, "test.slow", func(context.Context, *functions.Job[any]) (any, error) {
		close(started)
		<-release
		return "done", nil
	})
	p := w.launch("worker")
	client, opened := w.beside()
	receipt, err := client.Submit(t.Context(), "test.double", 21)
	if err != nil {
		t.Fatal(err)
	}
	info, err := client.Wait(t.Context(), receipt.ID)
	if err != nil || info.State != store.Succeeded || string(info.Result) != "42" {
		t.Errorf(`got %+v, %v, want no error && info.State == store.Succeeded && string(info.Result) == "42"`, info, err)
	}
	if err := opened.Queues.Sender().Submit(t.Context(), functions.SubmitQueue, pubsubq.Submission{Kind: "test.slow", Key: "k"}); err != nil {
		t.Fatal(err)
	}
	<-started
	p.stop()
	close(release)
	if status := p.ends(); status != 0 {
		t.Errorf("status %d:\n%s", status, p.errs)
	}
	page, err := client.List(t.Context(), functions.ListFilter{Kind: "test.slow"})
	if err != nil || len(page.Jobs) != 1 || page.Jobs[0].State != store.Succeeded {
		t.Errorf("the job that ran while the worker drained: %+v, %v", page, err)
	}
	want(t, p.errs.String(), "worker starts", `"all_handed_back":true`)
}

func TestTheSecondSignalLeavesAtOnce(t *testing.T) {
	caught := make(chan os.Signal, 8) // the process of this test must survive its own signals
	signal.Notify(caught, syscall.SIGTERM)
	defer signal.Stop(caught)
	w := newWorld(t)
	started, release := make(chan struct{}), make(chan struct{})
	defer close(release)
	functions.Handle(w.jobs, "test.stuck", func(context.Context, *functions.Job[any]) (any, error) {
		close(started)
		<-release
		return nil, nil //nolint:nilnil // the job has no result
	})
	p := w.launch("worker")
	client, _ := w.beside()
	if _, err := client.Submit(t.Context(), "test.stuck", nil); err != nil {
		t.Fatal(err)
	}
	<-started
	for range 2 {
		if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		<-caught
	}
	if status := p.ends(); status != 1 {
		t.Errorf("status %d:\n%s", status, p.errs)
	}
	want(t, p.errs.String(), "left at once")
}

func TestAWorkerWithoutJobsDoesNotStart(t *testing.T) {
	w := newWorld(t)
	w.jobs = functions.NewRegistry()
	if status := w.launch("worker").ends(); status != 2 {
		t.Errorf("status %d", status)
	}
	functions.Handle[any, any](w.jobs, "Not A Kind", nil)
	for _, cmd := range []string{"worker", "doctor"} {
		status, _, errs := w.run(cmd)
		if status != 2 || !strings.Contains(errs, "no job is registered") && !strings.Contains(errs, "Not A Kind") {
			t.Errorf("%s: status %d: %s", cmd, status, errs)
		}
	}
}
