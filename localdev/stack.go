package localdev

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/docstore"

	"github.com/piecework/piecework/blobout"
	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/worker"
	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/infra/drivers/mem"
	"github.com/piecework/piecework/pubsubq"
	"github.com/piecework/piecework/store"
)

// Stack is a running system. Start makes one, and Stop ends it.
type Stack struct {
	cfg    Config
	data   *Storage
	queues drivers.Queue
	kept   bool // the queues outlive the process
	rt     *functions.Runtime
	worker *worker.Worker

	cancel context.CancelFunc
	ran    chan error // what the worker's Run returned
	back   sync.WaitGroup
	stop   func() error
}

// Start opens a store, blobs and queues, and starts a worker. It returns when jobs
// can be submitted; jobs of an earlier process are resumed in the background. The context limits
// the opening only: the system runs until Stop.
//
// It returns functions.ErrConfig for a configuration that cannot work, and says what to do.
func Start(ctx context.Context, jobs *functions.Registry, cfg Config) (*Stack, error) {
	cfg, err := cfg.withDefaults(jobs)
	if err != nil {
		return nil, err
	}
	s := &Stack{cfg: cfg, ran: make(chan error, 1)}
	if err := s.open(ctx, jobs); err != nil {
		return nil, errors.Join(err, s.close())
	}
	var run context.Context
	run, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	s.stop = sync.OnceValue(s.close)
	go func() { s.ran <- s.worker.Run(run) }()
	if !s.kept || len(s.cfg.Pull) > 0 { // who runs nothing has taken nothing
		s.back.Go(func() { s.resume(run) })
	}
	return s, nil
}

// open opens all parts in order.
func (s *Stack) open(ctx context.Context, jobs *functions.Registry) (err error) {
	if err := openDir(s.cfg); err != nil {
		return err
	}
	if s.data, err = open(ctx, s.cfg); err != nil {
		return err
	}
	set, places := s.cfg.drivers(), drivers.Config{Store: s.cfg.storeURL(), Queues: s.cfg.Queues}.WithDefaults()
	set.LogTo(s.cfg.Log)
	s.kept = places.Queues == places.Store
	if places.Queues == "" {
		s.queues = mem.NewQueue(s.cfg.Log)
	} else if s.queues, err = set.OpenQueue(ctx, places.Queues); err != nil {
		return err
	}
	st, err := store.New(s.data.Records, &store.Options{Timing: s.cfg.Timing, Rand: s.cfg.Runtime.Rand})
	if err != nil {
		return fmt.Errorf("%w: localdev: %w", functions.ErrConfig, err)
	}
	b := functions.Backends{Store: st, Queue: s.queues.Sender(), Blobs: s.data.Blobs}
	if b.InTx, err = set.InTx(places, s.data.Records, st, s.queues); err != nil {
		return err
	}
	s.rt, err = functions.New(jobs, b, s.cfg.Runtime)
	if err != nil {
		return err
	}
	opts := s.cfg.Worker
	opts.Queues, opts.Submit = s.cfg.Pull, len(s.cfg.Pull) > 0
	s.worker, err = worker.New(s.rt, s.queues.Receiver, &opts)
	return err
}

// resume sends the messages that an earlier process had taken from the queue, or had in its own
// queue, when it died: at once for jobs that wait, and for jobs that it ran when its leases must have
// run out. They may still be in the queue, or with another process that is alive. This process
// cannot know, and a second message of a job does no harm.
func (s *Stack) resume(ctx context.Context) {
	t, waiting := s.rt.Timing(), s.rt.Recover
	if s.kept {
		waiting = s.rt.RecoverReady
	}
	for _, after := range []struct {
		wait    time.Duration
		recover func(context.Context) (functions.SweepResult, error)
	}{{0, waiting}, {t.Lease + t.Skew + time.Millisecond, s.rt.RecoverRunning}} {
		timer := time.NewTimer(after.wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		res, err := after.recover(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			s.cfg.Log.LogAttrs(ctx, slog.LevelError, "could not send messages for all jobs found in the store; sweep will send the rest",
				slog.Any("error", err))
		case res.Resent+res.Lost > 0:
			s.cfg.Log.LogAttrs(ctx, slog.LevelInfo, "sent messages for jobs found in the store",
				slog.Int("waiting", res.Resent), slog.Int("running", res.Lost))
		}
	}
}

// Client returns a client that submits and reads jobs.
func (s *Stack) Client() *functions.Client { return s.rt.Client() }

// Runtime returns the runtime. Its verbs may be called beside the worker.
func (s *Stack) Runtime() *functions.Runtime { return s.rt }

// Collection returns the store's collection. Only package store should write to it.
func (s *Stack) Collection() *docstore.Collection { return s.data.Records }

// Blobs returns the store of the outputs.
func (s *Stack) Blobs() *blobout.Store { return s.data.Blobs }

// Bucket returns the bucket of the outputs.
func (s *Stack) Bucket() *blob.Bucket { return s.data.Bucket }

// Sender returns the sender to the queues. Its Submit with functions.SubmitQueue submits a job by
// message.
func (s *Stack) Sender() *pubsubq.Sender { return s.queues.Sender() }

// Config returns the configuration in force, defaults filled in.
func (s *Stack) Config() Config { return s.cfg }

// SubmitMessage puts a message on the submit queue: our JSON form, a CloudEvent, or whatever a trigger takes, as if
// it came from a broker. Nil means that the message is in the queue: a moment later the job is stored
// or the message parked.
func (s *Stack) SubmitMessage(ctx context.Context, body []byte, metadata map[string]string) error {
	return s.queues.Sender().SendRaw(ctx, functions.SubmitQueue, pubsubq.Raw{Body: body, Metadata: metadata})
}

// Stop ends the system. Running jobs have Config.Worker.DrainGrace to finish and are then handed
// back. When ctx ends before that, Stop abandons them at once, and they restart when their leases
// have run out.
func (s *Stack) Stop(ctx context.Context) error {
	s.cancel()
	var err error
	select {
	case err = <-s.ran:
	case <-ctx.Done():
		s.worker.Leave()
		err = <-s.ran
	}
	s.ran <- err // for another call of Stop
	return errors.Join(err, s.stop())
}

// close closes all opened parts in reverse order.
func (s *Stack) close() error {
	s.back.Wait()
	var errs []error
	if s.rt != nil {
		errs = append(errs, s.rt.Close())
	}
	if s.queues != nil {
		errs = append(errs, s.queues.Close(context.Background()))
	}
	if s.data != nil {
		errs = append(errs, s.data.Close())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("localdev: close: %w", err)
	}
	return nil
}
