package stage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/localdev/piecework/internal/demo"
	"github.com/piecework/piecework/store"
)

// Killed is what came of a job whose worker was killed.
type Killed struct {
	Same        bool        `json:"same"` // nothing differs
	Differences []string    `json:"differences,omitempty"`
	Killed      *Report     `json:"killed"`
	Undisturbed *Report     `json:"undisturbed"`
	Compared    []Compared  `json:"compared"`
	Kill        KillFigures `json:"kill"`
}

// KillFigures say where the kill hit, and what it cost.
type KillFigures struct {
	FirstWorker   int     `json:"first_worker_pid"`
	SecondWorker  int     `json:"second_worker_pid"`
	Signal        string  `json:"signal"`         // as the system reports the end of the first
	Checkpoint    int     `json:"checkpoint"`     // the last one saved before, counted from 1
	CheckpointRow int     `json:"checkpoint_row"` // where it stands: the rows before were not done again
	ReachedRow    int64   `json:"reached_row"`    // that the first worker had reported, at the least
	WentOnFrom    int     `json:"went_on_from_row"`
	NoticedAfter  float64 `json:"noticed_after_seconds"` // from the kill until the attempt was ended as lost
	WentOnAfter   float64 `json:"went_on_after_seconds"` // from the kill until the next attempt began
}

// Compared is one file of the two runs.
type Compared struct {
	Name  string `json:"name"`
	Same  bool   `json:"same_bytes"`
	Known bool   `json:"as_known"`
	Size  int64  `json:"bytes"`
}

// killing is one show of Kill.
type killing struct {
	Options

	log   *slog.Logger
	story *story
	watch *watcher
	id    string
	Killed
}

// Kill runs the job twice: once undisturbed, and once with a worker of its own process that is killed in the middle
// and another that goes on. It compares the files, and returns ErrDiffers if anything is not as it must be.
func Kill(ctx context.Context, o Options) (err error) {
	if err := o.checkKill(); err != nil {
		return err
	}
	log, closeLog, err := prepare(o.Dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeLog()) }()
	k := &killing{Options: o, log: log, story: newStory(o)}
	o.printf(title)
	o.printf("The job runs twice: left alone, and with its worker killed in the middle.\n\n")
	if err := k.undisturbed(ctx); err != nil {
		return err
	}
	if k.watch, err = watch(ctx, o.Dir, log); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, k.watch.close()) }()
	if err := k.disturbed(ctx); err != nil {
		return o.interrupted(ctx, err)
	}
	if err := k.compare(); err != nil {
		return err
	}
	if o.JSON {
		err = printJSON(o.Out, &k.Killed)
	} else {
		k.tell()
	}
	if !k.Same {
		err = errors.Join(err, ErrDiffers)
	}
	return err
}

// undisturbed runs the job in this process at full speed.
func (k *killing) undisturbed(ctx context.Context) (err error) {
	stack, err := start(ctx, k.Dir, k.log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop(ctx, stack)) }()
	began := time.Now()
	receipt, err := stack.Client().Submit(ctx, demo.Kind, demo.Args{CheckpointEvery: k.CheckpointEvery})
	if err != nil {
		return err
	}
	k.story.sayf("%s submitted: left alone, at full speed", receipt.ID)
	info, err := Options{JSON: true}.follow(ctx, stack.Client(), receipt.ID)
	if err != nil {
		return err
	}
	k.Undisturbed, err = report(ctx, stack.Client(), info, filepath.Join(k.Dir, "undisturbed"))
	if err != nil {
		return err
	}
	k.Undisturbed.Seconds = seconds(time.Since(began))
	k.story.sayf("it has succeeded: %s rows, %s", thousands(k.Undisturbed.Result.Rows), plural(k.Undisturbed.Result.Checkpoints, "checkpoint"))
	k.story.gap()
	return nil
}

// disturbed runs the job under two workers, the first of which is killed.
func (k *killing) disturbed(ctx context.Context) (err error) {
	began := time.Now()
	client := k.watch.rt.Client()
	receipt, err := client.Submit(ctx, demo.Kind, k.args())
	if err != nil {
		return err
	}
	k.id = receipt.ID
	k.story.sayf("%s submitted: slowed down to %v", k.id, k.Pace)
	defer k.story.bar.clear()
	died, err := k.first(ctx)
	if err != nil {
		return err
	}
	if err := k.second(ctx, died); err != nil {
		return err
	}
	info, err := client.Get(ctx, k.id)
	if err != nil {
		return err
	}
	if info.State != store.Succeeded {
		return fmt.Errorf("job %s is %s: %s", k.id, info.State, info.Error+info.Reason)
	}
	k.Killed.Killed, err = report(ctx, client, info, k.Dir)
	if err != nil {
		return err
	}
	k.Killed.Killed.Seconds = seconds(time.Since(began))
	return nil
}

// first runs a worker and kills it between two checkpoints in the middle. It returns when that was.
func (k *killing) first(ctx context.Context) (time.Time, error) {
	p, err := startProcess(ctx, k.Options, 1)
	if err != nil {
		return time.Time{}, err
	}
	k.Kill.FirstWorker = p.pid()
	k.story.sayf("worker 1 started, process %d", p.pid())
	middle := max(2, demo.ZIPCodes/k.args().Every()/2) // checkpoints: not the first
	if err := k.watch.until(ctx, k.id, p, k.story.see, func(v view) bool {
		// Better some rows after a checkpoint than right at it; but where checkpoints are dense, no progress is
		// written between them.
		return v.State.Final() || v.Saved == middle && v.done() > int64(v.row) || v.Saved > middle
	}); err != nil {
		return time.Time{}, errors.Join(err, p.stop())
	}
	signal, err := p.kill()
	if err != nil {
		return time.Time{}, err
	}
	died := time.Now()
	v, err := k.watch.look(ctx, k.id)
	if err != nil {
		return died, err
	}
	if v.State != store.Running || v.Lease == nil {
		return died, fmt.Errorf("job %s is %s already: it was over before it could be killed; use a longer pace than %v", k.id, v.State, k.Pace)
	}
	k.story.note(v)
	k.Kill.Signal, k.Kill.Checkpoint, k.Kill.CheckpointRow, k.Kill.ReachedRow = signal, v.Saved, v.row, v.done()
	k.story.sayf("worker 1 got SIGKILL after checkpoint %d (%s)", v.Saved, signal)
	k.story.sayf("its record: running, checkpoint at row %s, last seen at row %s", thousands(v.row), thousands(v.done()))
	k.story.sayf("the job is worker 1's until its lease runs out, in %.1f s", v.Lease.Until.Time().Sub(died).Seconds())
	return died, nil
}

// second runs another worker until the job has ended.
func (k *killing) second(ctx context.Context, died time.Time) error {
	p, err := startProcess(ctx, k.Options, 2)
	if err != nil {
		return err
	}
	k.Kill.SecondWorker = p.pid()
	k.story.sayf("worker 2 started, process %d", p.pid())
	err = k.watch.until(ctx, k.id, p, func(v view) {
		now := seconds(time.Since(died))
		if len(v.Attempts) > 0 && k.Kill.NoticedAfter == 0 {
			k.Kill.NoticedAfter = now
		}
		if (v.Lease != nil && v.Attempt > 1 || v.State.Final()) && k.Kill.WentOnAfter == 0 {
			k.Kill.WentOnAfter = now
		}
		k.story.see(v)
	}, func(v view) bool { return v.State.Final() })
	return errors.Join(err, p.stop())
}

// compare holds the two runs against each other and against what is known.
func (k *killing) compare() error {
	r := k.Killed.Killed
	k.Kill.WentOnFrom = r.Result.FromRow
	differ := func(format string, args ...any) { k.Differences = append(k.Differences, fmt.Sprintf(format, args...)) }
	for i, f := range r.Files {
		other := k.Undisturbed.Files[i]
		same, err := sameBytes(f.Path, other.Path)
		if err != nil {
			return err
		}
		k.Compared = append(k.Compared, Compared{Name: f.Name, Same: same, Known: f.Known && other.Known, Size: f.Size})
		if !same {
			differ("%s is not, byte for byte, %s", f.Path, other.Path)
		}
		if !f.Known {
			differ("%s has the sum %s, must have %s", f.Path, f.SHA256, known()[f.Name])
		}
		if !other.Known {
			differ("%s has the sum %s, must have %s", other.Path, other.SHA256, known()[f.Name])
		}
	}
	// A machine that stands still for longer than a lease costs the second worker an attempt too. The next goes on from
	// a later checkpoint, and nothing is wrong with that.
	if from := k.Kill.WentOnFrom; from < k.Kill.CheckpointRow || from > k.Kill.CheckpointRow && len(r.Attempts) == 2 {
		differ("the second worker went on from row %d, the last checkpoint stood at row %d", k.Kill.WentOnFrom, k.Kill.CheckpointRow)
	}
	if lost, won := ends(r.Attempts, store.OutcomeLost), ends(r.Attempts, store.OutcomeSuccess); lost < 1 || won != 1 {
		differ("%d attempts were lost and %d won, want 1 of each", lost, won)
	}
	k.Same = len(k.Differences) == 0
	return nil
}

// ends counts the attempts with an outcome.
func ends(attempts []functions.AttemptInfo, outcome store.Outcome) int {
	n := 0
	for _, a := range attempts {
		if a.Outcome == outcome {
			n++
		}
	}
	return n
}

// sameBytes compares two files.
func sameBytes(a, b string) (bool, error) {
	left, err := os.ReadFile(a)
	if err != nil {
		return false, fmt.Errorf("compare: %w", err)
	}
	right, err := os.ReadFile(b)
	if err != nil {
		return false, fmt.Errorf("compare: %w", err)
	}
	return bytes.Equal(left, right), nil
}
