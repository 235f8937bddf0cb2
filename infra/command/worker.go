package command

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/worker"
	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/pubsubq"
)

// closeTime is how long connections have to be closed in good order.
const closeTime = 15 * time.Second

func (p *program) workerCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "worker",
		Short: "Run jobs until told to stop",
		Long: "Pulls from the queues of all jobs that this program was built with, runs them, and sweeps.\n\n" +
			"The first SIGTERM or SIGINT stops it gracefully: running jobs finish, or are handed back with their checkpoints.\n" +
			"A second leaves at once, which loses nothing either: the jobs start again when their leases have run out.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.worker(cmd.Context()) },
	}
}

// worker runs jobs until ctx ends, and drains.
func (p *program) worker(ctx context.Context) (err error) {
	env, err := readEnv(p.environ)
	if err != nil {
		return err
	}
	queues := p.jobs.Queues()
	if len(queues) == 0 {
		return fmt.Errorf("%w: no job is registered in this program, so there is nothing to run: register yours before Main", functions.ErrConfig)
	}
	log := env.logger(p.err)
	set := drivers.New(p.register...)
	set.LogTo(log)
	opened, err := set.Open(ctx, env.Config)
	if err != nil {
		return fmt.Errorf("open what %s, %s and %s name: %w", envStore, envQueues, envBlobs, err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
		defer cancel()
		err = errors.Join(err, opened.Close(ctx))
	}()
	rt, err := functions.New(p.jobs, opened.Backends, functions.Config{Log: log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rt.Close()) }()

	lanes := map[string]*pubsubq.Receiver{}
	for _, queue := range queues {
		lanes[queue] = opened.Lanes.Receiver(queue)
	}
	var submit *pubsubq.Receiver
	if env.submit {
		submit = opened.Lanes.Receiver(functions.SubmitQueue)
		queues = slices.Concat(queues, []string{functions.SubmitQueue})
	}
	w, err := worker.New(rt, lanes, submit, &worker.Options{Concurrency: env.concurrency, Log: log})
	if err != nil {
		return err
	}
	log.LogAttrs(ctx, slog.LevelInfo, "worker is running",
		slog.Any("queues", queues), slog.Any("kinds", p.jobs.Kinds()), slog.Int("concurrency", env.concurrency))
	stopListening := p.leaveWith(w)
	defer stopListening()
	err = w.Run(ctx)
	log.LogAttrs(ctx, slog.LevelInfo, "worker has stopped", slog.Bool("all_handed_back", err == nil))
	return err
}

// leaveWith makes the second signal end the worker at once, until the function that it returns is called.
func (p *program) leaveWith(w *worker.Worker) func() {
	done := make(chan struct{})
	go func() {
		select {
		case <-p.leave:
			w.Leave()
		case <-done:
		}
	}()
	return func() { close(done) }
}
