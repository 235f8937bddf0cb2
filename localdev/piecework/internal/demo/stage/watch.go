package stage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/localdev"
	"github.com/piecework/piecework/localdev/piecework/internal/demo"
	"github.com/piecework/piecework/pubsubq"
	"github.com/piecework/piecework/store"
)

// watcher submits a job to the workers of a directory and reads its record, from a process that runs no jobs.
type watcher struct {
	storage *localdev.Storage
	records *store.Store
	rt      *functions.Runtime
}

// silent is a queue that sends nothing. Messages are hints: a worker that starts finds the job in the store.
type silent struct{}

func (silent) Send(context.Context, string, time.Duration, ...pubsubq.Message) error { return nil }
func (silent) MaxDelay(string) time.Duration                                         { return 0 }

// watch opens the store of a directory in which a system has run.
func watch(ctx context.Context, dir string, log *slog.Logger) (w *watcher, err error) {
	w = &watcher{}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	if w.storage, err = localdev.OpenStorage(ctx, localdev.Config{Dir: dir}); err != nil {
		return w, err
	}
	if w.records, err = store.New(w.storage.Records, &store.Options{Timing: timing()}); err != nil {
		return w, err
	}
	reg := functions.NewRegistry()
	demo.Declare(reg)
	w.rt, err = functions.New(reg, functions.Backends{
		Store: w.records, Queue: silent{}, Blobs: w.storage.Blobs,
	}, functions.Config{Log: log})
	return w, err
}

// close closes what was opened.
func (w *watcher) close() error {
	var errs []error
	if w.rt != nil {
		errs = append(errs, w.rt.Close())
	}
	if w.storage != nil {
		errs = append(errs, w.storage.Close())
	}
	return errors.Join(errs...)
}

// view is a job as its record says at one moment.
type view struct {
	store.Job

	row int // of the checkpoint
}

// look reads the record.
func (w *watcher) look(ctx context.Context, id string) (view, error) {
	j, err := w.records.Get(ctx, id)
	if err != nil {
		return view{}, err
	}
	v := view{Job: j}
	if j.Checkpoint.IsZero() {
		return v, nil
	}
	var c demo.Cursor
	if err := json.Unmarshal(j.Checkpoint.Inline, &c); err != nil {
		return v, fmt.Errorf("checkpoint of job %s: %w", id, err)
	}
	v.row = c.Row
	return v, nil
}

// done is the row that the record's progress names.
func (v view) done() int64 {
	if v.Progress == nil {
		return 0
	}
	return v.Progress.Done
}

// until reads the record again and again until it is as wanted, and shows each change to see. It ends with an error
// when the worker's process ends.
func (w *watcher) until(ctx context.Context, id string, p *process, see func(view), wanted func(view) bool) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		v, err := w.look(ctx, id)
		if err != nil {
			return err
		}
		if see(v); wanted(v) {
			return nil
		}
		if err := p.alive(); err != nil && ctx.Err() == nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}
