package demo

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gocloud.dev/blob/memblob"
	"gocloud.dev/docstore/memdocstore"

	"github.com/piecework/piecework/blobout"
	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/localdev/piecework/internal/airports"
	"github.com/piecework/piecework/pubsubq"
	"github.com/piecework/piecework/store"
)

// desk runs jobs over memory, one message after the other.
type desk struct {
	*functions.Runtime
	queue []pubsubq.Message
}

func (d *desk) Send(_ context.Context, _ string, _ time.Duration, msgs ...pubsubq.Message) error {
	d.queue = append(d.queue, msgs...)
	return nil
}

func (d *desk) MaxDelay(string) time.Duration { return 0 }

func newDesk(t *testing.T, reg *functions.Registry) *desk {
	t.Helper()
	coll, err := memdocstore.OpenCollection(store.IDField, &memdocstore.Options{RevisionField: store.RevisionField})
	if err != nil {
		t.Fatal(err)
	}
	records, err := store.New(coll, nil)
	if err != nil {
		t.Fatal(err)
	}
	bucket := memblob.OpenBucket(nil)
	d := &desk{}
	d.Runtime, err = functions.New(reg, functions.Backends{Store: records, Queue: d, Blobs: blobout.New(bucket, nil)},
		functions.Config{Worker: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = d.Close()
		_ = bucket.Close()
		_ = coll.Close()
	})
	return d
}

// run submits the job and executes messages until none is left. It returns the job and how many there were.
func (d *desk) run(t *testing.T, args Args, opts ...functions.SubmitOption) (functions.Info, int) {
	t.Helper()
	receipt, err := d.Client().Submit(t.Context(), Kind, args, opts...)
	if err != nil {
		t.Fatal(err)
	}
	calls := 0
	for ; len(d.queue) > 0; calls++ {
		m := d.queue[0]
		d.queue = d.queue[1:]
		if out := d.Execute(t.Context(), m); out.Err != nil {
			t.Fatal(out.Err)
		}
	}
	info, err := d.Client().Get(t.Context(), receipt.ID)
	if err != nil {
		t.Fatal(err)
	}
	return info, calls
}

// result checks that the job has succeeded with the files that must come out, and returns what it returned.
func (d *desk) result(t *testing.T, info functions.Info) Result {
	t.Helper()
	res, err := functions.ResultOf[Result](info)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{NearestFile: NearestSHA256, ByStateFile: ByStateSHA256} {
		f, _, err := d.Client().OpenOutput(t.Context(), info.ID, name, 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(f)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(text)
		if got := hex.EncodeToString(sum[:]); got != want {
			t.Errorf("%s: sha256 %s of %d bytes, want %s", name, got, len(text), want)
		}
	}
	if res.Rows != ZIPCodes || res.Airports != Airports || res.States != 59 || len(res.Remotest) != 10 {
		t.Errorf("result %+v", res)
	}
	return res
}

func TestFilesAreTheSameAtEveryCheckpointInterval(t *testing.T) {
	reg := functions.NewRegistry()
	Register(reg)
	d := newDesk(t, reg)
	for every, checkpoints := range map[int]int{0: 21, 97: 433, 1234: 34, 42048: 1, 42049: 0, 1 << 40: 0} {
		info, calls := d.run(t, Args{CheckpointEvery: every})
		if res := d.result(t, info); res.Checkpoints != checkpoints || res.FromRow != 0 || calls != 1 {
			t.Errorf("every %d rows: %d checkpoints, want %d; from row %d in %d calls", every, res.Checkpoints, checkpoints, res.FromRow, calls)
		}
	}
}

func TestFilesAreTheSameWhenEveryInvocationIsShort(t *testing.T) {
	reg := functions.NewRegistry()
	Register(reg)
	d := newDesk(t, reg)
	d.Drain() // as on a platform whose deadline is always near
	info, calls := d.run(t, Args{CheckpointEvery: 1000})
	d.result(t, info)
	if calls < ZIPCodes/stride || info.Attempt != 1 {
		t.Errorf("%d calls and %d attempts, want a call for each %d rows and 1 attempt", calls, info.Attempt, stride)
	}
}

var errCut = errors.New("cut off")

// cutContext is cancelled when it has been asked a number of times.
type cutContext struct {
	context.Context

	cancel context.CancelCauseFunc
	left   int
}

func (c *cutContext) Err() error {
	if c.left--; c.left < 0 {
		c.cancel(errCut)
	}
	return c.Context.Err()
}

func TestFilesAreTheSameWhereverTheJobIsCutOff(t *testing.T) {
	// Each number is the strides that an attempt gets; the one after the last goes through. A checkpoint is due
	// after 40, 80, ...
	for _, strides := range [][]int{{0}, {1}, {39}, {40}, {41}, {79, 1, 0, 41}, {841}, {100, 200, 300, 240, 1}} {
		reg := functions.NewRegistry()
		Register(reg)
		attempts := 0
		reg.Use(func(ctx context.Context, _ functions.Info, next func(context.Context) error) error {
			if attempts++; attempts > len(strides) {
				return next(ctx)
			}
			inner, cancel := context.WithCancelCause(ctx)
			defer cancel(nil)
			return next(&cutContext{inner, cancel, strides[attempts-1]})
		})
		d := newDesk(t, reg)
		info, _ := d.run(t, Args{}, functions.MaxAttempts(functions.Unlimited))
		d.result(t, info)
	}
}

func TestPacedJobTakesItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := functions.NewRegistry()
		Register(reg)
		d := newDesk(t, reg)
		start := time.Now()
		info, _ := d.run(t, Args{PaceMS: 60_000})
		d.result(t, info)
		if took := time.Since(start); took < time.Minute || took > time.Minute+time.Second {
			t.Errorf("it took %v, want a minute", took)
		}
	})
}

func TestCancelledJobStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := functions.NewRegistry()
		Register(reg)
		d := newDesk(t, reg)
		receipt, err := d.Client().Submit(t.Context(), Kind, Args{PaceMS: 600_000})
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan functions.Outcome)
		go func() { done <- d.Execute(t.Context(), d.queue[0]) }()
		synctest.Wait()
		if _, err := d.Client().Cancel(t.Context(), receipt.ID, "enough"); err != nil {
			t.Fatal(err)
		}
		<-done
		info, err := d.Client().Get(t.Context(), receipt.ID)
		if err != nil || info.State != store.Cancelled || info.Reason != "enough" || len(info.Outputs) != 0 {
			t.Errorf("state %s, reason %q, outputs %v, error %v", info.State, info.Reason, info.Outputs, err)
		}
	})
}

func TestBadArgumentsFailAtOnce(t *testing.T) {
	reg := functions.NewRegistry()
	Register(reg)
	d := newDesk(t, reg)
	for text, args := range map[string]Args{
		"checkpoint_every is -1": {CheckpointEvery: -1},
		"pace_ms is -5":          {PaceMS: -5},
		"pace_ms is 600001":      {PaceMS: 600_001},
	} {
		info, calls := d.run(t, args)
		if info.State != store.Failed || calls != 1 || !strings.Contains(info.Error, text) {
			t.Errorf("%+v: %s after %d calls, error %q, want %q", args, info.State, calls, info.Error, text)
		}
	}
}

func TestForeignCheckpointIsRefused(t *testing.T) {
	var counted airports.Stats
	counted.Add(airports.Match{State: "NY"})
	for name, c := range map[string]Cursor{
		"negative": {Row: -1}, "past the end": {Row: 11}, "not counted": {Row: 1}, "counted twice": {Row: 0, Stats: counted},
	} {
		if c.check(10) == nil {
			t.Errorf("%s: %+v is taken", name, c)
		}
	}
	if err := (Cursor{Row: 1, Stats: counted}).check(10); err != nil {
		t.Error(err)
	}
}

func TestTablesHaveTheRowsThatTheResultNames(t *testing.T) {
	data, err := airports.Load()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../airports/data/airports.csv")
	if err != nil {
		t.Fatal(err)
	}
	if rows := bytes.Count(text, []byte("\n")) - 1; data.Len() != ZIPCodes || rows != Airports {
		t.Errorf("%d ZIP codes and %d airports, want %d and %d", data.Len(), rows, ZIPCodes, Airports)
	}
}
