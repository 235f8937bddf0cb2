package functions_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/store"
)

// Mail is the arguments of the examples' kind.
type Mail struct {
	To string `json:"to"`
}

// mailer is a registry with one kind, "mail".
func mailer() *functions.Registry {
	jobs := functions.NewRegistry()
	functions.Handle(jobs, "mail", func(_ context.Context, job *functions.Job[Mail]) (string, error) {
		return "sent to " + job.Args.To, nil
	})
	return jobs
}

// When Submit returns without error the job is stored and will run. Mistakes are told at once.
func ExampleClient_Submit() {
	shop, ctx := open(mailer()), context.Background()
	receipt, err := shop.Submit(ctx, "mail", Mail{To: "ada@example.com"}, functions.Tags("newsletter"), functions.Queue("slow"))
	fmt.Println(receipt.State, err)

	_, err = shop.Submit(ctx, "mial", Mail{})
	fmt.Println(err)
	_, err = shop.Submit(ctx, "mail", map[string]string{"too": "ada@example.com"})
	fmt.Println(err)
	// Output:
	// queued <nil>
	// unknown kind "mial"; did you mean "mail"?
	// submit mail: arguments do not fit the kind: unknown field "too"; did you mean "to"?
}

// A key makes a submission idempotent: the same key is the same job.
func ExampleKey() {
	shop, ctx := open(mailer()), context.Background()
	first, _ := shop.Submit(ctx, "mail", Mail{To: "ada@example.com"}, functions.Key("invoice-17"))
	again, err := shop.Submit(ctx, "mail", Mail{To: "ada@example.com"}, functions.Key("invoice-17"))
	fmt.Println(again.Existing, again.ID == first.ID, err)

	_, err = shop.Submit(ctx, "mail", Mail{To: "bob@example.com"}, functions.Key("invoice-17"))
	fmt.Println(errors.Is(err, functions.ErrKeyConflict))
	// Output:
	// true true <nil>
	// true
}

// A job may start later, by any length of time.
func ExampleAfter() {
	shop, ctx := open(mailer()), context.Background()
	receipt, _ := shop.Submit(ctx, "mail", Mail{To: "ada@example.com"}, functions.After(365*24*time.Hour))
	shop.run()
	info, _ := shop.Get(ctx, receipt.ID)
	fmt.Println(info.State, info.At.Format(time.DateOnly))
	fmt.Println("waiting", info.Waiting)

	shop.later(365 * 24 * time.Hour)
	info, _ = shop.Get(ctx, receipt.ID)
	fmt.Println(info.State)
	// Output:
	// scheduled 2027-11-21
	// waiting for its time, in 8760h0m0s (2027-11-21T08:00:00Z)
	// succeeded
}

// A held job waits until somebody releases it.
func ExampleClient_Release() {
	shop, ctx := open(mailer()), context.Background()
	receipt, err := shop.Submit(ctx, "mail", Mail{To: "ada@example.com"}, functions.Held())
	fmt.Println(receipt.State, err)
	info, err := shop.Release(ctx, receipt.ID)
	fmt.Println(info.State, err)
	// Output:
	// held <nil>
	// queued <nil>
}

// Many jobs in one call are stored and announced in bulk. A bad one does not keep the others.
func ExampleClient_SubmitMany() {
	shop := open(mailer())
	receipts, err := shop.SubmitMany(context.Background(), []functions.Submission{
		{Kind: "mail", Args: Mail{To: "ada@example.com"}},
		{Kind: "fax", Args: Mail{To: "bob@example.com"}},
		{Kind: "mail", Args: Mail{To: "eve@example.com"}, Options: []functions.SubmitOption{functions.After(time.Hour)}},
	})
	fmt.Println(err)
	for _, r := range receipts {
		fmt.Println(r.State, r.Err)
	}
	// Output:
	// 1 of 3 jobs were not submitted; the first: unknown kind "fax"; registered here: mail
	// queued <nil>
	//  unknown kind "fax"; registered here: mail
	// scheduled <nil>
}

// Wait returns when the job has ended.
func ExampleClient_Wait() {
	shop, ctx := open(mailer()), context.Background()
	receipt, _ := shop.Submit(ctx, "mail", Mail{To: "ada@example.com"})
	go shop.run() // a worker
	info, err := shop.Wait(ctx, receipt.ID)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(functions.Kind[any, string](info.Kind).Result(info))
	// Output: sent to ada@example.com <nil>
}

// Lists are newest first, and come in pages.
func ExampleClient_List() {
	shop, ctx := open(mailer()), context.Background()
	for _, to := range []string{"ada", "bob", "eve"} {
		if _, err := shop.Submit(ctx, "mail", Mail{To: to}); err != nil {
			fmt.Println(err)
		}
		shop.later(time.Second)
	}
	filter := functions.ListFilter{Kind: "mail", States: []store.State{store.Succeeded}, Limit: 2}
	for {
		page, err := shop.List(ctx, filter)
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, job := range page.Jobs {
			fmt.Println(string(job.Args))
		}
		if filter.Cursor = page.Next; filter.Cursor == "" {
			return
		}
		fmt.Println("next page")
	}
	// Output:
	// {"to":"eve"}
	// {"to":"bob"}
	// next page
	// {"to":"ada"}
}

// A job that waits is cancelled at once; the handler of one that runs has its context cancelled.
func ExampleClient_Cancel() {
	shop, ctx := open(mailer()), context.Background()
	receipt, _ := shop.Submit(ctx, "mail", Mail{To: "ada@example.com"})
	info, err := shop.Cancel(ctx, receipt.ID, "wrong address")
	fmt.Println(info.State, info.Reason, err)
	// Output: cancelled wrong address <nil>
}

// A failed job can be run again, from its last checkpoint.
func ExampleClient_Retry() {
	broken := true
	jobs := functions.NewRegistry()
	functions.Handle(jobs, "mail", func(context.Context, *functions.Job[Mail]) (string, error) {
		if broken {
			return "", functions.Permanent(errors.New("the mail server is gone"))
		}
		return "sent", nil
	})
	shop, ctx := open(jobs), context.Background()
	info := show(shop, "mail")

	broken = false
	if _, err := shop.Retry(ctx, info.ID); err != nil {
		fmt.Println(err)
	}
	shop.run()
	info, err := shop.Get(ctx, info.ID)
	fmt.Println(info.State, err)
	// Output:
	// failed  the mail server is gone  <nil>
	// succeeded <nil>
}

// A process that only submits declares the kinds that others run.
func ExampleKindOf_Declare() {
	jobs := functions.NewRegistry()
	functions.Kind[Mail, string]("mail", functions.Queue("mail")).Declare(jobs)
	shop := open(jobs)
	receipt, _ := shop.Submit(context.Background(), "mail", Mail{To: "ada@example.com"})
	info, _ := shop.Get(context.Background(), receipt.ID)
	fmt.Println("waiting", info.Waiting)
	// Output: waiting for a worker on queue mail that has kind mail (this process has no handler for it)
}

// Jobs are also submitted by message, in JSON or as a CloudEvent. A message that cannot become a job is put aside.
func ExampleRuntime_Submit() {
	shop, ctx := open(mailer()), context.Background()
	out := shop.runtime.Submit(ctx, []byte(`{"kind": "mail", "args": {"to": "ada@example.com"}}`), nil, "message-1")
	fmt.Println(out.Verdict, out.Err)

	out = shop.runtime.Submit(ctx, []byte(`{"kind": "mail", "args": {"to": 7}}`), nil, "message-2")
	fmt.Println(out.Verdict)
	parked, _, err := shop.Parked(ctx, 10, "")
	fmt.Println(parked[0].Reason, err)
	// Output:
	// ack <nil>
	// ack
	// submit mail: arguments do not fit the kind: field "to": cannot put a JSON number into string <nil>
}

// Sweep does what is due: here it sends the message of a job whose message was lost.
func ExampleRuntime_Sweep() {
	shop, ctx := open(mailer()), context.Background()
	receipt, _ := shop.Submit(ctx, "mail", Mail{To: "ada@example.com"})
	shop.queue = nil // lost

	shop.now = shop.now.Add(3 * time.Minute)
	result, err := shop.runtime.Sweep(ctx, functions.SweepRequest{Limit: 1000})
	fmt.Println("sent again:", result.Resent, err)
	shop.run()
	info, _ := shop.Get(ctx, receipt.ID)
	fmt.Println(info.State)
	// Output:
	// sent again: 1 <nil>
	// succeeded
}
