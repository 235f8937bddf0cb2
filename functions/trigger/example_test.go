package trigger_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"gocloud.dev/blob/memblob"

	"github.com/piecework/piecework/blobout"
	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/trigger"
	"github.com/piecework/piecework/infra/drivers/mem"
	"github.com/piecework/piecework/pubsubq"
	"github.com/piecework/piecework/store"
)

// workshop is a runtime in memory that runs the jobs of the messages that it is sent.
type workshop struct {
	*functions.Runtime

	hints []pubsubq.Message
}

func open(jobs *functions.Registry) *workshop {
	coll, err := mem.OpenCollection()
	if err != nil {
		panic(err)
	}
	records, err := store.New(coll, nil)
	if err != nil {
		panic(err)
	}
	w := &workshop{}
	w.Runtime, err = functions.New(jobs, functions.Backends{
		Store: records, Queue: w, Blobs: blobout.New(memblob.OpenBucket(nil), nil),
	}, functions.Config{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		panic(err)
	}
	return w
}

// Send keeps the hints.
func (w *workshop) Send(_ context.Context, _ string, _ time.Duration, hints ...pubsubq.Message) error {
	w.hints = append(w.hints, hints...)
	return nil
}

// MaxDelay says that the queue delays nothing.
func (w *workshop) MaxDelay(string) time.Duration { return 0 }

// send puts a message on the submit queue, as another system does, and runs its jobs.
func (w *workshop) send(body string) {
	ctx := context.Background()
	if out := w.Accept(ctx, functions.Incoming{Body: []byte(body), MessageID: "m-1"}); out.Err != nil {
		_, reason, _ := strings.Cut(out.Err.Error(), "; and ")
		fmt.Println("parked:", reason)
	}
	for _, hint := range w.hints {
		w.Execute(ctx, hint)
	}
	w.hints = nil
}

// Mail is the arguments of the kind "mail".
type Mail struct {
	To string `json:"to"`
}

// Every object that is created in a bucket becomes a job. Here S3 sends the notification.
func ExampleObjectCreated() {
	jobs := functions.NewRegistry()
	functions.Handle(jobs, "photo.shrink", func(_ context.Context, job *functions.Job[trigger.Object]) (int, error) {
		fmt.Printf("%s, %d bytes, of %s\n", job.Args.Key, job.Args.Size, job.Args.BucketURL())
		return 0, nil
	})
	jobs.Trigger(trigger.ObjectCreated("photo.shrink", trigger.ObjectPrefix("in/"), trigger.ObjectSuffix(".jpg", ".png")))
	shop := open(jobs)
	shop.send(`{"Records": [{"eventSource": "aws:s3", "awsRegion": "eu-west-1", "eventName": "ObjectCreated:Put", "s3": {
		"bucket": {"name": "photos"}, "object": {"key": "in/summer+2026.jpg", "size": 48213, "eTag": "5d41", "sequencer": "0055AED6"}}}]}`)
	// Output:
	// in/summer 2026.jpg, 48213 bytes, of s3://photos?region=eu-west-1
}

// A message of another system becomes the arguments of a job.
func ExampleJSONBody() {
	jobs := functions.NewRegistry()
	functions.Handle(jobs, "mail", func(_ context.Context, job *functions.Job[Mail]) (string, error) {
		fmt.Println("mail to", job.Args.To)
		return "", nil
	})
	jobs.Trigger(trigger.JSONBody("mail", trigger.WhenField("event", "signup"), trigger.KeyFrom("user.id")))
	shop := open(jobs)
	shop.send(`{"event": "signup", "to": "ada@example.com", "user": {"id": 17, "name": "Ada"}}`)
	shop.send(`{"event": "signup", "to": "ada@example.com", "user": {"id": 17, "name": "Ada"}}`) // the same key: the same job
	shop.send(`{"event": "logout", "user": {"id": 17}}`)
	// Output:
	// mail to ada@example.com
	// parked: it belongs to none of the triggers: JSONBody("mail")
}

// CloudEvents of any type become jobs of a kind.
func ExampleFromCloudEvent() {
	jobs := functions.NewRegistry()
	functions.Handle(jobs, "mail", func(_ context.Context, job *functions.Job[Mail]) (string, error) {
		fmt.Println("mail to", job.Args.To)
		return "", nil
	})
	jobs.Trigger(trigger.FromCloudEvent("com.example.User.SignedUp", "mail"))
	open(jobs).send(`{"specversion": "1.0", "type": "com.example.User.SignedUp", "source": "/users", "id": "17",
		"data": {"to": "ada@example.com", "plan": "free"}}`)
	// Output:
	// mail to ada@example.com
}

// A function understands messages of any form.
func ExampleFromMessage() {
	jobs := functions.NewRegistry()
	functions.Handle(jobs, "mail", func(_ context.Context, job *functions.Job[Mail]) (string, error) {
		fmt.Println("mail to", job.Args.To)
		return "", nil
	})
	jobs.Trigger(trigger.FromMessage("mailing list", func(m functions.Message) ([]functions.Submission, error) {
		list, ok := bytes.CutPrefix(m.Body, []byte("MAILTO\n"))
		if !ok {
			return nil, trigger.ErrNotMine
		}
		var subs []functions.Submission
		for lines := bufio.NewScanner(bytes.NewReader(list)); lines.Scan(); {
			subs = append(subs, functions.Submission{Kind: "mail", Args: Mail{To: lines.Text()}})
		}
		return subs, nil
	}))
	open(jobs).send("MAILTO\nada@example.com\nbob@example.com\n")
	// Output:
	// mail to ada@example.com
	// mail to bob@example.com
}
