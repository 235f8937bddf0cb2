package program_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/infra/drivers/files"
	"github.com/piecework/piecework/infra/drivers/sql"
	"github.com/piecework/piecework/infra/program"
	"github.com/piecework/piecework/pubsubq/memqueue"
	"github.com/piecework/piecework/tests/printed"
)

// world is a deployment in a directory, whose queues are in this process.
type world struct {
	t        *testing.T
	queue    *memqueue.Queue
	jobs     *functions.Registry
	env      map[string]string
	register []func(*drivers.Set)
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir := filepath.ToSlash(t.TempDir())
	w := &world{t: t, queue: memqueue.New(nil), jobs: functions.NewRegistry(), env: map[string]string{
		"PIECEWORK_STORE": "sqlite://" + dir + "/records.db", "PIECEWORK_QUEUES": "here://{queue}",
		"PIECEWORK_BLOBS": "file://" + dir + "/blobs",
	}}
	t.Cleanup(func() { w.queue.Close() })
	functions.Handle(w.jobs, "test.double", func(_ context.Context, job *functions.Job[int]) (int, error) { return 2 * job.Args, nil })
	w.register = []func(*drivers.Set){sql.Register, files.Register, func(s *drivers.Set) {
		s.AddQueue("here", func(_ context.Context, _ *drivers.Address, log *slog.Logger) (drivers.Queue, error) {
			return drivers.NewQueue(drivers.Broker{Direct: w.queue}, log), nil // shared by all that are opened
		})
	}}
	return w
}

// environ is the environment of a process.
func (w *world) environ() []string {
	lines := []string{"HOME=/nowhere"}
	for name, value := range w.env {
		lines = append(lines, name+"="+value)
	}
	return lines
}

// run runs a command line to its end.
func (w *world) run(args ...string) (status int, stdout, stderr string) {
	w.t.Helper()
	var out, errs buffer
	status = program.App{Jobs: w.jobs, Drivers: w.register}.Run(w.t.Context(), args, &out, &errs, w.environ())
	return status, out.String(), errs.String()
}

// process is a command line under way.
type process struct {
	t      *testing.T
	stop   context.CancelFunc
	status chan int
	errs   *buffer // what it has printed
}

// launch starts a command line.
func (w *world) launch(args ...string) *process {
	ctx, stop := context.WithCancel(w.t.Context())
	p := &process{w.t, stop, make(chan int, 1), &buffer{}}
	go func() {
		p.status <- program.App{Jobs: w.jobs, Drivers: w.register}.Run(ctx, args, p.errs, p.errs, w.environ())
	}()
	return p
}

// ends waits for the process to end, and returns its exit status.
func (p *process) ends() int {
	p.t.Helper()
	select {
	case status := <-p.status:
		return status
	case <-time.After(30 * time.Second):
		p.t.Fatalf("it does not end:\n%s", p.errs)
		return -1
	}
}

// want checks that each of some texts is in a text.
func want(t *testing.T, text string, parts ...string) {
	t.Helper()
	printed.Want(t, text, parts...)
}

// buffer is what a process prints.
type buffer = printed.Text
