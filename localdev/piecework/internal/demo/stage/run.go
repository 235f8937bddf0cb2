package stage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/localdev/piecework/internal/demo"
	"github.com/piecework/piecework/store"
)

// Run shows the job in a system that runs in this process. A job that an interrupted demo has left in the directory
// goes on; otherwise a new one is submitted.
func Run(ctx context.Context, o Options) (err error) {
	if err := o.check(); err != nil {
		return err
	}
	log, closeLog, err := prepare(o.Dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeLog()) }()
	stack, err := start(ctx, o.Dir, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop(ctx, stack)) }()
	client := stack.Client()
	id, left, err := submit(ctx, client, o.args())
	if err != nil {
		return err
	}
	o.opening(id, left)
	began := time.Now()
	info, err := o.follow(ctx, client, id)
	if err != nil {
		return o.interrupted(ctx, err)
	}
	r, err := report(ctx, client, info, o.Dir)
	if err != nil {
		return err
	}
	r.Seconds = seconds(time.Since(began))
	if o.JSON {
		err = printJSON(o.Out, r)
	} else {
		o.ending(r)
	}
	return errors.Join(err, unknown(r.Files))
}

// submit submits the job, unless there is one that has not ended. It returns the row at which that one stands.
func submit(ctx context.Context, client *functions.Client, args demo.Args) (id string, left int64, err error) {
	list, err := client.List(ctx, functions.ListFilter{Kind: demo.Kind, Limit: 100})
	if err != nil {
		return "", 0, err
	}
	for _, i := range list.Jobs {
		if !i.Done() {
			if i.Progress != nil {
				left = i.Progress.Done
			}
			return i.ID, max(left, 1), nil
		}
	}
	receipt, err := client.Submit(ctx, demo.Kind, args)
	return receipt.ID, 0, err
}

// follow shows the progress of a job until it has succeeded.
func (o Options) follow(ctx context.Context, client *functions.Client, id string) (functions.Info, error) {
	type end struct {
		info functions.Info
		err  error
	}
	ended := make(chan end, 1)
	go func() {
		info, err := client.Wait(ctx, id)
		ended <- end{info, err}
	}()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	b := newBar(o.Out, o.Width, o.JSON)
	defer b.clear()
	for {
		select {
		case e := <-ended:
			b.show(e.info)
			if e.err == nil && e.info.State != store.Succeeded {
				e.err = fmt.Errorf("job %s is %s: %s", id, e.info.State, e.info.Error+e.info.Reason)
			}
			return e.info, e.err
		case <-tick.C:
			if i, err := client.Get(ctx, id); err == nil {
				b.show(i)
			}
		}
	}
}

// interrupted says how to go on after the user has stopped the demo; other errors stay as they are.
func (o Options) interrupted(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	return fmt.Errorf("stopped; the same command goes on with the job: %w", context.Cause(ctx))
}

// report collects what came of a job.
func report(ctx context.Context, client *functions.Client, info functions.Info, dir string) (*Report, error) {
	res, err := functions.ResultOf[demo.Result](info)
	if err != nil {
		return nil, err
	}
	files, err := fetch(ctx, client, info.ID, dir)
	if err != nil {
		return nil, err
	}
	r := &Report{Job: info.ID, Kind: info.Kind, State: info.State, Attempts: info.Attempts, Files: files, Result: res}
	var args demo.Args
	if json.Unmarshal(info.Args, &args) == nil {
		r.PaceMS = args.PaceMS
	}
	return r, nil
}

// seconds is a duration to the millisecond.
func seconds(d time.Duration) float64 { return d.Round(time.Millisecond).Seconds() }
