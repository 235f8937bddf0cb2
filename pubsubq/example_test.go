package pubsubq_test

import (
	"context"
	"fmt"

	"github.com/piecework/piecework/pubsubq"
	"github.com/piecework/piecework/pubsubq/memqueue"
	"gocloud.dev/pubsub"
)

// A sender and a receiver over gocloud. With the driver of a cloud, only the two openers differ.
func Example() {
	q := memqueue.New(nil)
	defer q.Close()
	ctx := context.Background()

	send := pubsubq.NewSender(func(_ context.Context, queue string) (*pubsub.Topic, error) {
		return q.Topic(queue), nil
	}, &pubsubq.SenderOptions{MaxDelay: memqueue.MaxDelay, Delay: memqueue.DelayHook})
	recv := pubsubq.NewReceiver(func(context.Context) (*pubsub.Subscription, error) {
		return q.Subscription("default", nil), nil
	}, nil)

	if err := send.Send(ctx, "default", 0, pubsubq.Message{ID: "job-1"}); err != nil {
		panic(err)
	}
	deliveries, err := recv.Receive(ctx, 10)
	if err != nil {
		panic(err)
	}
	for _, d := range deliveries {
		m, err := pubsubq.DecodeMessage(d.Body, d.Metadata)
		fmt.Println(m.ID, err)
		d.Ack()
	}
	fmt.Println(recv.Shutdown(ctx), send.Shutdown(ctx))
	// Output:
	// job-1 <nil>
	// <nil> <nil>
}

func ExampleMessage_Encode() {
	body, metadata := pubsubq.Message{ID: "job-1"}.Encode()
	fmt.Println(string(body), metadata)
	// Output: {"id":"job-1"} map[]
}

func ExampleParseSubmission() {
	s, err := pubsubq.ParseSubmission([]byte(`{"kind":"bank.statement","args":{"account":42},"delay":"90s"}`), nil)
	fmt.Println(s.Kind, string(s.Args), s.Delay, err)

	_, err = pubsubq.ParseSubmission([]byte(`{"kind":"bank.statement","dely":"90s"}`), nil)
	fmt.Println(err)
	// Output:
	// bank.statement {"account":42} 1m30s <nil>
	// pubsubq: malformed message: unknown field "dely": did you mean "delay"? (in "{\"kind\":\"bank.statement\",\"dely\":\"90s\"}")
}

// An event becomes a job whose kind is its type. Delivered twice, it is one job.
func ExampleParseSubmission_cloudEvent() {
	s, err := pubsubq.ParseSubmission([]byte(`{
		"specversion": "1.0", "type": "import.file", "source": "/bucket/in", "id": "e-7",
		"data": {"name": "march.csv"}, "piecequeue": "slow"
	}`), nil)
	fmt.Println(s.Kind, string(s.Args), s.Key, s.Queue, err)
	// Output: import.file {"name": "march.csv"} /bucket/in/e-7 slow <nil>
}
