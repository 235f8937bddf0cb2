package proof

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/tests/servers/endtoend"
)

// The kinds that package endtoend lacks.
const (
	Long    = "proof.long"    // takes longer than an invocation may, with checkpoints
	Deaf    = "proof.deaf"    // does not listen at its first attempt, when it is told that the time is up
	Stuck   = "proof.stuck"   // stops its process at the first attempts, so that the function's timeout kills it
	Poison  = "proof.poison"  // ends its process, always
	Large   = "proof.large"   // writes a file that no buffered answer can hold
	Foreign = "proof.foreign" // no program here runs it
)

// Step is how long a step of Long takes.
const Step = 250 * time.Millisecond

// LargeSize is the size of the file of Large.
const LargeSize = 20 << 20

// Task are the arguments of these kinds.
type Task struct {
	Number int `json:"number"`
	Steps  int `json:"steps,omitempty"` // of Long
}

// Done is their result.
type Done struct {
	Number  int `json:"number"`
	Resumed int `json:"resumed"` // how often the job went on from a checkpoint
}

// place is the checkpoint of Long.
type place struct {
	Step    int `json:"step"`
	Resumed int `json:"resumed"`
}

// NewRegistry returns all kinds but Foreign, whose runs write to the ledger.
func NewRegistry(ledger endtoend.Ledger) *functions.Registry {
	r := endtoend.NewRegistry(ledger)
	patient := []functions.KindOption{
		functions.MaxAttempts(60), functions.MaxLost(50), functions.Retries(functions.Constant(200 * time.Millisecond)),
	}
	functions.Handle(r, Long, long, patient...)
	functions.Handle(r, Deaf, deaf, patient...)
	functions.Handle(r, Stuck, stuck, patient...)
	functions.Handle(r, Poison, poison, append(patient, functions.MaxLost(2), functions.Queue("files"))...)
	functions.Handle(r, Large, large, append(patient, functions.Queue("files"))...)
	return r
}

// long works step by step, and goes on elsewhere when its time is up.
func long(ctx context.Context, job *functions.Job[Task]) (Done, error) {
	var at place
	found, err := job.LoadCheckpoint(ctx, &at)
	if err != nil {
		return Done{}, err
	}
	if found {
		at.Resumed++
	}
	for ; at.Step < job.Args.Steps; at.Step++ {
		if job.DeadlineNear() {
			return Done{}, functions.Continue(at)
		}
		if err := pause(ctx, Step); err != nil {
			return Done{}, err
		}
		job.Progress(int64(at.Step+1), int64(job.Args.Steps), "")
		if at.Step%2 == 1 {
			if err := job.Checkpoint(ctx, place{at.Step + 1, at.Resumed}); err != nil {
				return Done{}, err
			}
		}
	}
	return Done{job.Args.Number, at.Resumed}, nil
}

// deaf does what no handler should.
func deaf(_ context.Context, job *functions.Job[Task]) (Done, error) {
	if job.Attempt == 1 {
		<-time.After(time.Hour)
	}
	return Done{Number: job.Args.Number}, nil
}

// stuck stops its process, at two attempts, because the first may be killed together with another job's.
func stuck(_ context.Context, job *functions.Job[Task]) (Done, error) {
	if job.Attempt <= 2 {
		if err := syscall.Kill(os.Getpid(), syscall.SIGSTOP); err != nil {
			return Done{}, err
		}
	}
	return Done{Number: job.Args.Number}, nil
}

// poison ends the process as a failing allocation or a signal would.
func poison(_ context.Context, job *functions.Job[Task]) (Done, error) {
	fmt.Fprintln(os.Stderr, "poison ends the process of job", job.ID)
	os.Exit(7)
	return Done{}, nil
}

// large writes its file.
func large(ctx context.Context, job *functions.Job[Task]) (Done, error) {
	file, err := job.Output(ctx, "large.bin")
	if err != nil {
		return Done{}, err
	}
	for from := 0; from < LargeSize; from += 1 << 20 {
		if _, err := file.Write(LargePart(job.Args.Number, from>>20)); err != nil {
			return Done{}, err
		}
	}
	return Done{Number: job.Args.Number}, nil
}

// LargePart is a megabyte of the file of a job.
func LargePart(number, part int) []byte {
	line := fmt.Appendf(nil, "job %10d part %8d\n", number, part) // of a length that divides a megabyte
	return bytes.Repeat(append(line, bytes.Repeat([]byte{'.'}, 64-len(line))...), 1<<20/64)
}

// pause takes time.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
