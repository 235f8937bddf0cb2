package program

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/worker"
	"github.com/piecework/piecework/infra/drivers"
)

// closeTime is how long Close may take.
const closeTime = 15 * time.Second

// Deployment is what the environment names, open. Open makes one. Close it when nothing runs any
// more.
type Deployment struct {
	Environment

	// Runtime runs the jobs of this program over the deployment's store, queues and bucket.
	Runtime *functions.Runtime
	// Queues are the queues, to receive from.
	Queues drivers.Queue
	// Log gets what an operator should know.
	Log *slog.Logger

	opened *drivers.Opened
	leave  <-chan struct{} // closed when the process must end at once
}

// Open reads an environment, which is os.Environ() or like it, and opens what it names. After an
// error nothing is open. Errors of configuration are functions.ErrConfig. The log is written to
// stderr.
func Open(
	ctx context.Context, environ []string, stderr io.Writer, jobs *functions.Registry, register ...func(*drivers.Set),
) (*Deployment, error) {
	env, err := ReadEnvironment(environ)
	if err != nil {
		return nil, err
	}
	if err := jobs.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", functions.ErrConfig, err)
	}
	if len(jobs.Kinds()) == 0 {
		return nil, fmt.Errorf("%w: no job is registered in this program, so there is nothing to run: register yours before Main", functions.ErrConfig)
	}
	log := env.logger(stderr)
	set := drivers.New(register...)
	set.LogTo(log)
	opened, err := set.Open(ctx, env.Config)
	if err != nil {
		return nil, fmt.Errorf("open what PIECEWORK_STORE, PIECEWORK_QUEUES and PIECEWORK_BLOBS name: %w", err)
	}
	rt, err := functions.New(jobs, opened.Backends, functions.Config{Log: log, Worker: env.worker, Margin: env.Margin})
	if err != nil {
		return nil, errors.Join(err, opened.Close(ctx))
	}
	return &Deployment{Environment: env, Runtime: rt, Queues: opened.Queues, Log: log, opened: opened}, nil
}

// Pull runs jobs from all queues of this program until ctx ends, and then drains, as a worker does.
func (d *Deployment) Pull(ctx context.Context) error {
	w, err := worker.New(d.Runtime, d.Queues.Receiver, &worker.Options{Concurrency: d.Concurrency, Submit: d.Submit, Log: d.Log})
	if err != nil {
		return err
	}
	stopListening := d.leaveWith(w)
	defer stopListening()
	err = w.Run(ctx)
	d.Log.LogAttrs(ctx, slog.LevelInfo, "worker has stopped", slog.Bool("all_handed_back", err == nil))
	return err
}

// leaveWith makes the second signal end the worker at once. The function that it returns undoes
// that.
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

// Close closes the runtime and the connections and sends the last spans and metrics. It takes at
// most 15 seconds, also when ctx has ended.
func (d *Deployment) Close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
	defer cancel()
	err := d.Runtime.Close()
	flush(ctx, d.Log)
	return errors.Join(err, d.opened.Close(ctx))
}
