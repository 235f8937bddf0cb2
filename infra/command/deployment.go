package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/worker"
	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/pubsubq"
)

// closeTime is how long connections have to be closed in good order.
const closeTime = 15 * time.Second

// Deployment is what the environment names, open. Make one with Open; Close it when nothing runs any more.
type Deployment struct {
	// Runtime runs the jobs of this program over the deployment's store, queues and bucket.
	Runtime *functions.Runtime
	// Lanes are the queues, to receive from.
	Lanes drivers.Queue
	// Config says where the state is, as the environment has it.
	Config drivers.Config
	// Concurrency is how many jobs run at once in this process, and SubmitQueue whether a worker also makes jobs of the
	// messages of the submit queue.
	Concurrency int
	SubmitQueue bool
	// Log gets what an operator should know.
	Log *slog.Logger

	env    Environment
	opened *drivers.Opened
	leave  <-chan struct{}
}

// Open reads an environment, which is os.Environ() or like it, and opens what it names, or nothing. Errors of
// configuration are functions.ErrConfig. The log is written to stderr.
func Open(
	ctx context.Context, environ []string, stderr io.Writer, jobs *functions.Registry, register ...func(*drivers.Set),
) (*Deployment, error) {
	env, err := readEnv(environ)
	if err != nil {
		return nil, err
	}
	if err := jobs.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", functions.ErrConfig, err)
	}
	if len(jobs.Queues()) == 0 {
		return nil, fmt.Errorf("%w: no job is registered in this program, so there is nothing to run: register yours before Main", functions.ErrConfig)
	}
	log := env.logger(stderr)
	set := drivers.New(register...)
	set.LogTo(log)
	opened, err := set.Open(ctx, env.Config)
	if err != nil {
		return nil, fmt.Errorf("open what %s, %s and %s name: %w", envStore, envQueues, envBlobs, err)
	}
	rt, err := functions.New(jobs, opened.Backends, functions.Config{Log: log, Worker: env.worker, Margin: env.Margin})
	if err != nil {
		return nil, errors.Join(err, opened.Close(ctx))
	}
	return &Deployment{
		Runtime: rt, Lanes: opened.Lanes, Config: env.Config, Concurrency: env.concurrency, SubmitQueue: env.submit,
		Log: log, env: env.Environment, opened: opened,
	}, nil
}

// Getenv returns a variable of the environment that the deployment was opened with, "" if it is not set.
func (d *Deployment) Getenv(name string) string { return d.env.Getenv(name) }

// Pull runs jobs from all queues of this program until ctx ends, and then drains: it is the life of a worker.
func (d *Deployment) Pull(ctx context.Context) error {
	queues := d.Runtime.Registry().Queues()
	lanes := map[string]*pubsubq.Receiver{}
	for _, queue := range queues {
		lanes[queue] = d.Lanes.Receiver(queue)
	}
	var submit *pubsubq.Receiver
	if d.SubmitQueue {
		submit = d.Lanes.Receiver(functions.SubmitQueue)
		queues = slices.Concat(queues, []string{functions.SubmitQueue})
	}
	w, err := worker.New(d.Runtime, lanes, submit, &worker.Options{Concurrency: d.Concurrency, Log: d.Log})
	if err != nil {
		return err
	}
	d.Log.LogAttrs(ctx, slog.LevelInfo, "worker is running", slog.Any("queues", queues),
		slog.Any("kinds", d.Runtime.Registry().Kinds()), slog.Int("concurrency", d.Concurrency))
	stopListening := d.leaveWith(w)
	defer stopListening()
	err = w.Run(ctx)
	d.Log.LogAttrs(ctx, slog.LevelInfo, "worker has stopped", slog.Bool("all_handed_back", err == nil))
	return err
}

// leaveWith makes the second signal end the worker at once, until the function that it returns is called.
func (d *Deployment) leaveWith(w *worker.Worker) func() {
	done := make(chan struct{})
	go func() {
		select {
		case <-d.leave:
			w.Leave()
		case <-done:
		}
	}()
	return func() { close(done) }
}

// Close closes the runtime and the connections, and has the last spans and metrics sent. It takes 15 seconds at most, also
// when ctx has ended.
func (d *Deployment) Close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
	defer cancel()
	err := d.Runtime.Close()
	flush(ctx, d.Log)
	return errors.Join(err, d.opened.Close(ctx))
}
