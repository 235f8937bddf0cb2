package functions_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/piecework/piecework/functions"
)

// A kind is a Go function under a name. Its arguments and result are anything that encoding/json can write and read.
func ExampleHandle() {
	type Args struct {
		Name string `json:"name"`
	}
	jobs := functions.NewRegistry()
	functions.Handle(jobs, "greeting", func(_ context.Context, job *functions.Job[Args]) (string, error) {
		return "Hello, " + job.Args.Name, nil
	}, functions.MaxAttempts(3), functions.Timeout(time.Minute))

	shop, ctx := open(jobs), context.Background()
	receipt, err := shop.Submit(ctx, "greeting", Args{Name: "Ada"})
	if err != nil {
		fmt.Println(err)
		return
	}
	shop.run()
	info, err := shop.Get(ctx, receipt.ID)
	if err != nil {
		fmt.Println(err)
		return
	}
	text, err := functions.Kind[any, string](info.Kind).Result(info)
	fmt.Println(info.State, text, err)
	// Output: succeeded Hello, Ada <nil>
}

// show submits a job without arguments, runs it, and prints what became of it.
func show(shop *workshop, kind string, opts ...functions.SubmitOption) functions.Info {
	ctx := context.Background()
	receipt, err := shop.Submit(ctx, kind, struct{}{}, opts...)
	if err != nil {
		fmt.Println(err)
		return functions.Info{}
	}
	shop.run()
	info, err := shop.Get(ctx, receipt.ID)
	fmt.Println(info.State, string(info.Result), info.Error, info.Reason, err)
	return info
}

// A checkpoint survives a crash, an error and a lost lease: the next attempt goes on from it.
func ExampleJob_Checkpoint() {
	jobs := functions.NewRegistry()
	functions.Handle(jobs, "count", func(ctx context.Context, job *functions.Job[struct{}]) (int, error) {
		var n int
		if _, err := job.LoadCheckpoint(ctx, &n); err != nil {
			return 0, err
		}
		fmt.Println("attempt", job.Attempt, "starts at", n)
		for ; n < 10; n++ {
			if n == 5 && job.Attempt == 1 {
				return 0, errors.New("the power failed")
			}
			if err := job.Checkpoint(ctx, n+1); err != nil {
				return 0, err
			}
		}
		return n, nil
	}, functions.Retries(functions.Constant(0)))

	show(open(jobs), "count")
	// Output:
	// attempt 1 starts at 0
	// attempt 2 starts at 5
	// succeeded 10   <nil>
}

// A file becomes visible when its job succeeds, whole and under its name.
func ExampleJob_Output() {
	jobs := functions.NewRegistry()
	functions.Handle(jobs, "report", func(ctx context.Context, job *functions.Job[struct{}]) (int, error) {
		w, err := job.Output(ctx, "report.csv")
		if err != nil {
			return 0, err
		}
		fmt.Fprintln(w, "day,orders")
		fmt.Fprintln(w, "monday,42")
		return 1, w.Close()
	})

	shop := open(jobs)
	info := show(shop, "report")
	r, file, err := shop.OpenOutput(context.Background(), info.ID, "report.csv", 0, -1)
	if err != nil {
		fmt.Println(err)
		return
	}
	text, err := io.ReadAll(r)
	fmt.Printf("%d bytes, %v\n%s", file.Size, err, text)
	// Output:
	// succeeded 1   <nil>
	// 21 bytes, <nil>
	// day,orders
	// monday,42
}

// Progress is what people see while a job runs.
func ExampleJob_Progress() {
	jobs := functions.NewRegistry()
	functions.Handle(jobs, "import", func(_ context.Context, job *functions.Job[struct{}]) (int, error) {
		for row := range int64(1000) {
			job.Progress(row+1, 1000, "importing")
		}
		return 1000, nil
	})

	p := show(open(jobs), "import").Progress
	fmt.Println(p.Done, "of", p.Total, p.Message)
	// Output:
	// succeeded 1000   <nil>
	// 1000 of 1000 importing
}

// Where the platform ends each invocation after some minutes, a long job goes on in the next one.
func ExampleContinue() {
	jobs := functions.NewRegistry()
	functions.Handle(jobs, "long", func(ctx context.Context, job *functions.Job[struct{}]) (string, error) {
		var step int
		if _, err := job.LoadCheckpoint(ctx, &step); err != nil {
			return "", err
		}
		if step < 3 { // rather: if job.DeadlineNear()
			fmt.Println("step", step)
			return "", functions.Continue(step + 1)
		}
		return fmt.Sprintf("%d steps in attempt %d", step, job.Attempt), nil
	})

	show(open(jobs), "long")
	// Output:
	// step 0
	// step 1
	// step 2
	// succeeded "3 steps in attempt 1"   <nil>
}

// Snooze asks to be called again later; it uses no attempt.
func ExampleSnooze() {
	ready := false
	jobs := functions.NewRegistry()
	functions.Handle(jobs, "poll", func(context.Context, *functions.Job[struct{}]) (string, error) {
		if !ready {
			return "", functions.Snooze(time.Hour)
		}
		return "there it is", nil
	})

	shop := open(jobs)
	info := show(shop, "poll")
	ready = true
	shop.later(time.Hour)
	info, err := shop.Get(context.Background(), info.ID)
	fmt.Println(info.State, "attempt", info.Attempt, err)
	// Output:
	// scheduled    <nil>
	// succeeded attempt 1 <nil>
}

// Skip ends a job that has nothing to do.
func ExampleSkip() {
	jobs := functions.NewRegistry()
	functions.Handle(jobs, "statement", func(context.Context, *functions.Job[struct{}]) (string, error) {
		return "", functions.Skip("the account was closed")
	})

	show(open(jobs), "statement")
	// Output: skipped   the account was closed <nil>
}

// RetryAfter says when to try again, in place of the kind's retry policy.
func ExampleRetryAfter() {
	jobs := functions.NewRegistry()
	functions.Handle(jobs, "call", func(context.Context, *functions.Job[struct{}]) (string, error) {
		return "", functions.RetryAfter(30*time.Minute, errors.New("429 Too Many Requests"))
	})

	shop := open(jobs)
	info := show(shop, "call")
	fmt.Println("again in", info.At.Sub(shop.now))
	// Output:
	// retrying  429 Too Many Requests  <nil>
	// again in 30m0s
}

// Permanent ends a job that no other attempt would mend.
func ExamplePermanent() {
	jobs := functions.NewRegistry()
	functions.Handle(jobs, "transfer", func(context.Context, *functions.Job[struct{}]) (string, error) {
		return "", functions.Permanent(errors.New("no such account"))
	}, functions.MaxAttempts(10))

	info := show(open(jobs), "transfer")
	fmt.Println("attempts:", info.Attempt)
	// Output:
	// failed  no such account  <nil>
	// attempts: 1
}

// A retry policy is constant, linear or exponential with jitter.
func ExampleRetries() {
	jobs := functions.NewRegistry()
	functions.Handle(jobs, "flaky", func(context.Context, *functions.Job[struct{}]) (string, error) {
		return "", errors.New("not yet")
	}, functions.Retries(functions.Linear(10*time.Second, time.Minute)))

	shop := open(jobs)
	info := show(shop, "flaky")
	for range 2 {
		fmt.Println("again in", info.At.Sub(shop.now))
		shop.later(info.At.Sub(shop.now))
		info, _ = shop.Get(context.Background(), info.ID)
	}
	// Output:
	// retrying  not yet  <nil>
	// again in 10s
	// again in 20s
}

// Or it is a function of yours.
func ExampleRetryBy() {
	jobs := functions.NewRegistry()
	functions.Handle(jobs, "flaky", func(context.Context, *functions.Job[struct{}]) (string, error) {
		return "", errors.New("not yet")
	}, functions.RetryBy(func(failures int, _ string) time.Duration { return time.Duration(failures) * time.Hour }))

	shop := open(jobs)
	info := show(shop, "flaky")
	fmt.Println("again in", info.At.Sub(shop.now))
	// Output:
	// retrying  not yet  <nil>
	// again in 1h0m0s
}

// What handlers share, such as a connection pool, is opened when the first of them asks for it.
func ExampleShare() {
	type pool struct{ name string }
	jobs := functions.NewRegistry()
	db := functions.Share(jobs, "database",
		func(context.Context) (*pool, error) { fmt.Println("open"); return &pool{"orders"}, nil },
		func(*pool) error { fmt.Println("close"); return nil })
	functions.Handle(jobs, "query", func(ctx context.Context, _ *functions.Job[struct{}]) (string, error) {
		p, err := db.Get(ctx)
		if err != nil {
			return "", err // tried again, like any error
		}
		return p.name, nil
	})

	shop := open(jobs)
	show(shop, "query")
	show(shop, "query")
	if err := shop.runtime.Close(); err != nil {
		fmt.Println(err)
	}
	// Output:
	// open
	// succeeded "orders"   <nil>
	// succeeded "orders"   <nil>
	// close
}

// Middleware wraps the handlers of all kinds.
func ExampleRegistry_Use() {
	jobs := functions.NewRegistry()
	jobs.Use(func(ctx context.Context, job functions.Info, next func(context.Context) error) error {
		fmt.Println("before", job.Kind)
		err := next(ctx)
		fmt.Println("after", job.Kind, err)
		return err
	})
	functions.Handle(jobs, "hello", func(context.Context, *functions.Job[struct{}]) (string, error) { return "hello", nil })

	show(open(jobs), "hello")
	// Output:
	// before hello
	// after hello <nil>
	// succeeded "hello"   <nil>
}

// An end hook is told of each job that has ended, at least once.
func ExampleRegistry_OnEnd() {
	jobs := functions.NewRegistry()
	jobs.OnEnd(func(_ context.Context, job functions.Info) error {
		fmt.Println("mail:", job.Kind, "has", job.State)
		return nil
	})
	functions.Handle(jobs, "hello", func(context.Context, *functions.Job[struct{}]) (string, error) { return "hello", nil })

	show(open(jobs), "hello")
	// Output:
	// mail: hello has succeeded
	// succeeded "hello"   <nil>
}

// A handler and an end hook submit jobs through the client of their context. The key keeps a handler
// that runs twice from submitting two.
func ExampleClientFrom() {
	charge, receipt := functions.Kind[int, string]("charge"), functions.Kind[string, string]("receipt")
	jobs := functions.NewRegistry()
	charge.Handle(jobs, func(context.Context, *functions.Job[int]) (string, error) { return "payment 7", nil })
	charge.OnEnd(jobs, func(ctx context.Context, job functions.Info, payment string, ended error) error {
		if ended != nil {
			return nil //nolint:nilerr // no result, no receipt
		}
		_, err := receipt.Submit(ctx, functions.ClientFrom(ctx), payment, functions.Key(job.ID))
		return err
	})
	receipt.Handle(jobs, func(_ context.Context, job *functions.Job[string]) (string, error) {
		fmt.Printf("receipt for %s, parent is set: %t\n", job.Args, job.Parent != "")
		return "", nil
	})

	shop := open(jobs)
	if _, err := charge.Submit(context.Background(), shop.Client, 99); err != nil {
		fmt.Println(err)
	}
	shop.run()
	// Output: receipt for payment 7, parent is set: true
}
