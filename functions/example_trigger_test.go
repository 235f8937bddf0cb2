package functions_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"

	"github.com/piecework/piecework/functions"
)

// send puts a message on the submit queue, as another system does.
func (w *workshop) send(body string) {
	out := w.runtime.Accept(context.Background(), functions.Incoming{Body: []byte(body), MessageID: "m-1"})
	if out.Err != nil {
		fmt.Println("parked:", out.Err)
	}
	w.run()
}

// Every object that lands in the bucket becomes a job over it. Here S3 tells of one.
func ExampleObjectCreated() {
	jobs := functions.NewRegistry()
	functions.Handle(jobs, "photo.shrink", func(_ context.Context, job *functions.Job[functions.Object]) (int, error) {
		fmt.Printf("%s, %d bytes, of %s\n", job.Args.Key, job.Args.Size, job.Args.BucketURL())
		return 0, nil
	})
	jobs.Trigger(functions.ObjectCreated("photo.shrink", functions.ObjectPrefix("in/"), functions.ObjectSuffix(".jpg", ".png")))
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
	jobs.Trigger(functions.JSONBody("mail", functions.WhenField("event", "signup"), functions.KeyFrom("user.id")))
	shop := open(jobs)
	shop.send(`{"event": "signup", "to": "ada@example.com", "user": {"id": 17, "name": "Ada"}}`)
	shop.send(`{"event": "signup", "to": "ada@example.com", "user": {"id": 17, "name": "Ada"}}`) // the same key: the same job
	shop.send(`{"event": "logout", "user": {"id": 17}}`)
	// Output:
	// mail to ada@example.com
	// parked: malformed message: it has no "kind", as jobs have, and is no CloudEvent; and it belongs to none of the triggers: JSONBody("mail")
}

// CloudEvents of any type become jobs of a kind.
func ExampleFromCloudEvent() {
	jobs := functions.NewRegistry()
	functions.Handle(jobs, "mail", func(_ context.Context, job *functions.Job[Mail]) (string, error) {
		fmt.Println("mail to", job.Args.To)
		return "", nil
	})
	jobs.Trigger(functions.FromCloudEvent("com.example.User.SignedUp", "mail"))
	open(jobs).send(`{"specversion": "1.0", "type": "com.example.User.SignedUp", "source": "/users", "id": "17",
		"data": {"to": "ada@example.com", "plan": "free"}}`)
	// Output:
	// mail to ada@example.com
}

// What no ready trigger understands, a function does.
func ExampleFromMessage() {
	jobs := functions.NewRegistry()
	functions.Handle(jobs, "mail", func(_ context.Context, job *functions.Job[Mail]) (string, error) {
		fmt.Println("mail to", job.Args.To)
		return "", nil
	})
	jobs.Trigger(functions.FromMessage("mailing list", func(m functions.Foreign) ([]functions.Submission, error) {
		list, ok := bytes.CutPrefix(m.Body, []byte("MAILTO\n"))
		if !ok {
			return nil, functions.ErrNotMine
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
