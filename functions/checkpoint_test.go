package functions_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"gocloud.dev/docstore/driver"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/store/relay"
)

// After a checkpoint whose answer was lost, which is an error though it was saved, the next one is
// saved too.
func TestACheckpointAfterOneWithoutAnAnswer(t *testing.T) {
	var d *desk
	var loaded int
	d = newDesk(t, handle(func(ctx context.Context, job *functions.Job[order]) (order, error) {
		if job.Attempt > 1 {
			_, err := job.LoadCheckpoint(ctx, &loaded)
			return order{}, err
		}
		once, cancel := context.WithCancel(ctx)
		d.mu.Lock()
		d.actions = func(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError {
			errs := next(ctx, acts)
			if acts[0].Kind == driver.Update {
				cancel() // the caller waits no longer; the write has been done
				return driver.ActionListError{{Index: 0, Err: context.Canceled}}
			}
			return errs
		}
		d.mu.Unlock()
		if err := job.Checkpoint(once, 1); err == nil {
			t.Error("the checkpoint was answered")
		}
		d.storeWorks()
		if err := job.Checkpoint(ctx, 2); err != nil {
			t.Error(err)
		}
		return order{}, errors.New("again")
	}, functions.Retries(functions.Constant(0))))
	id := d.submit(t, "shop.order", order{})
	d.drain(t)
	if i := d.get(t, id); i.State != store.Succeeded || loaded != 2 {
		t.Errorf("the second attempt got checkpoint %d: %+v", loaded, i)
	}
}

// A large checkpoint that could not be saved leaves no blob behind when the job ends, however it
// does.
func TestACheckpointThatWasNotSavedLeavesNothingBehind(t *testing.T) {
	large := strings.Repeat("x", 2*store.MaxInline)
	for name, end := range map[string]func() (order, error){
		"success":  func() (order, error) { return order{}, nil },
		"skip":     func() (order, error) { return order{}, functions.Skip("no") },
		"failure":  func() (order, error) { return order{}, functions.Permanent(errors.New("no")) },
		"continue": func() (order, error) { return order{}, functions.Continue("small") },
	} {
		t.Run(name, func(t *testing.T) {
			var d *desk
			runs := 0
			d = newDesk(t, handle(func(ctx context.Context, job *functions.Job[order]) (order, error) {
				if runs++; runs > 1 {
					return order{}, nil
				}
				d.refuseWrites()
				if err := job.Checkpoint(ctx, large); err == nil {
					t.Error("the checkpoint was saved")
				}
				d.storeWorks()
				return end()
			}))
			id := d.submit(t, "shop.order", order{})
			d.drain(t)
			if i := d.get(t, id); !i.Done() {
				t.Errorf("job = %+v; want Done()", i)
			}
			if files := d.files(t); len(files) != 0 {
				t.Errorf("files are left: %v", files)
			}
		})
	}
}

// refuseWrites lets updates fail until storeWorks.
func (d *desk) refuseWrites() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.actions = func(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError {
		if acts[0].Kind != driver.Update {
			return next(ctx, acts)
		}
		return driver.ActionListError{{Index: 0, Err: errors.New("no route to host")}}
	}
}
