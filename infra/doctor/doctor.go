// Package doctor checks a deployment by using it.
//
// It writes a record, a blob and hints of its own, whose ids begin with "doctor-", and removes
// them. It tries what workers do: read, write, compare-and-set and query each index of the store;
// send, receive and delay in each queue; put, get, list, sign and remove a blob. Settings come from
// the templates below infra. The doctor reads only two of them, where the driver can (SQS and
// Pub/Sub), because they double work or lose messages without a trace: how long a received message
// is hidden, against the timeout of the function that runs jobs, and the dead-letter queue.
//
// Without a probe queue the doctor uses the queues of the jobs. A worker that gets the doctor's
// hint drops it, because there is no such record, and the doctor gives back the first message of a
// job that it gets. A queue that cannot give back loses that hint until sweep sends it again, so a
// queue for the doctor alone is better.
//
// The doctor's records stand in partitions of the indexes that nothing else reads. What a killed
// doctor leaves behind disturbs nothing. The check of the stored state, package functions/fsck,
// mentions it as foreign.
//
// # Files
//
// doctor.go has the findings and what the checks share; store.go, queue.go and blobs.go the checks;
// remedy.go what is advised.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/piecework/piecework/infra/drivers"
)

// ErrUnhealthy says that at least one finding is a failure.
var ErrUnhealthy = errors.New("the deployment does not work")

// Level says how bad a finding is.
type Level string

// The levels.
const (
	OK   Level = "ok"
	Warn Level = "warn"
	Fail Level = "FAIL"
)

// Finding is one thing that was tried.
type Finding struct {
	Level  Level  `json:"level"`
	What   string `json:"what"`
	Why    string `json:"why"`
	Remedy string `json:"remedy,omitempty"` // what to do; none if Level is OK
}

// String is the finding on one line.
func (f Finding) String() string {
	text := fmt.Sprintf("%-4s %s: %s", f.Level, f.What, f.Why)
	if f.Remedy != "" {
		text += "; " + f.Remedy
	}
	return strings.Join(strings.Fields(text), " ")
}

// Options say what to check.
type Options struct {
	Set             *drivers.Set // what opens the services; the doctor takes its log
	Config          drivers.Config
	Queues          []string      // of the jobs
	ProbeQueue      string        // a queue that no worker pulls from; "": the queues of the jobs are tried
	Submissions     bool          // the submit queue is in use, too
	FunctionTimeout time.Duration // of the function that runs jobs; 0: not known
	Patience        time.Duration // how long to wait for each answer
	// Report gets each finding when it is made. An error of it ends the check.
	Report func(Finding) error
}

// Check checks a deployment. If any finding is a failure, it returns ErrUnhealthy.
func Check(ctx context.Context, o Options) error {
	d := &doctor{Options: o, id: probePrefix + uuid.NewString(), troubles: troubles{last: map[string]error{}}}
	d.Set.LogTo(d.troubles.logger())
	for _, check := range []func(context.Context){d.store, d.queues, d.blobs} {
		if check(ctx); d.lost != nil {
			return d.lost
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("doctor: stopped before everything was tried: %w", err)
		}
	}
	if d.failures > 0 {
		return ErrUnhealthy
	}
	return nil
}

// probePrefix begins the ids of what the doctor writes.
const probePrefix = "doctor-"

// pollEvery is how long the doctor waits before it asks again for what may take a while to appear.
const pollEvery = 200 * time.Millisecond

// doctor is one check of a deployment.
type doctor struct {
	Options

	id       string   // of the record, and the prefix of everything else that is written
	troubles troubles // what the queues log
	failures int
	lost     error // from Report
}

func (d *doctor) add(f Finding) {
	if f.Level == Fail {
		d.failures++
	}
	d.lost = errors.Join(d.lost, d.Report(f))
}

func (d *doctor) okf(what, format string, args ...any) {
	d.add(Finding{Level: OK, What: what, Why: fmt.Sprintf(format, args...)})
}

// verdict is an error that brings its own level and remedy.
type verdict Finding

// Error is what was found.
func (v verdict) Error() string { return v.Why }

// failed reports an error, with what to do about it: what the error itself says, what to grant if a
// driver knows that, or what r says of its class.
func (d *doctor) failed(what string, err error, r remedies) {
	f := Finding{Level: Fail, What: what, Why: err.Error(), Remedy: r.of(err)}
	if v, ok := errors.AsType[verdict](err); ok {
		f.Level, f.Remedy = v.Level, v.Remedy
	} else if text := d.Set.Denied(err); text != "" {
		f.Remedy = text
	}
	d.add(f)
}

// try runs one step, for Patience at most.
func (d *doctor) try(ctx context.Context, step func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, d.Patience)
	defer cancel()
	return step(ctx)
}

// step runs one step and reports what came of it: done, or the error. It returns whether the step
// succeeded.
func (d *doctor) step(ctx context.Context, what, done string, r remedies, step func(context.Context) error) bool {
	if err := d.try(ctx, step); err != nil {
		d.failed(what, err, r)
		return false
	}
	d.okf(what, "%s", done)
	return true
}

// poll calls look until it reports that it is done, or an error, or until ctx ends.
func poll(ctx context.Context, look func() (done bool, err error)) (bool, error) {
	for {
		if done, err := look(); done || err != nil {
			return done, err
		}
		timer := time.NewTimer(pollEvery)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return false, nil
		}
	}
}
