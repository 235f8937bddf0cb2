package aws

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/piecework/piecework/infra/drivers"
)

const (
	// atOnce is how many messages a request is about, and sideBySide how many requests are made at
	// the same time.
	atOnce     = 10
	sideBySide = 8
	// longestHidden is the longest that a message is hidden. SQS has 12 hours, counted from when it
	// delivered the message: a function may have had it for a quarter of an hour since, and its
	// caller for some minutes before.
	longestHidden = mostHidden - 30*time.Minute
)

// hide returns what says when messages come again that Lambda received and a function gave back.
func (r reception) hide(client *sqs.Client) func(context.Context, string, []drivers.Hidden) error {
	return func(ctx context.Context, source string, some []drivers.Hidden) error {
		queue, err := r.queueOf(source)
		if err != nil {
			return err
		}
		var mu sync.Mutex
		var first error
		failed := 0
		room := make(chan struct{}, sideBySide)
		var calls sync.WaitGroup
		for part := range slices.Chunk(some, atOnce) {
			room <- struct{}{}
			calls.Go(func() {
				defer func() { <-room }()
				n, err := hideSome(ctx, client, queue, part)
				mu.Lock()
				defer mu.Unlock()
				if failed += n; first == nil {
					first = err
				}
			})
		}
		calls.Wait()
		if first == nil {
			return nil
		}
		return fmt.Errorf("change the visibility of %d messages of queue %s: %d failed, one because: %w", len(some), queue, failed, first)
	}
}

// hideSome hides up to ten messages. It returns how many it could not, and why not one of them.
func hideSome(ctx context.Context, client *sqs.Client, queue string, some []drivers.Hidden) (int, error) {
	req := &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: &queue}
	for i, m := range some {
		d := min(max(m.For, 0), longestHidden)
		req.Entries = append(req.Entries, types.ChangeMessageVisibilityBatchRequestEntry{
			Id: aws.String(strconv.Itoa(i)), ReceiptHandle: &m.Receipt,
			VisibilityTimeout: int32((d + time.Second - 1) / time.Second), // rounded up: not to be seen before
		})
	}
	out, err := client.ChangeMessageVisibilityBatch(ctx, req)
	if err != nil {
		return len(some), err
	}
	failed := 0
	for _, f := range out.Failed {
		code := aws.ToString(f.Code)
		if strings.HasSuffix(code, "MessageNotInflight") {
			continue // its time was up meanwhile: it comes by itself
		}
		failed++
		err = errors.New(strings.TrimSpace(code + " " + aws.ToString(f.Message)))
	}
	return failed, err
}

// queueOf is the URL of the queue of an ARN: on the host of the configuration's queues.
func (r reception) queueOf(arn string) (string, error) {
	parts := strings.Split(arn, ":") // arn:aws:sqs:REGION:ACCOUNT:NAME
	if len(parts) != 6 || parts[2] != "sqs" {
		return "", fmt.Errorf("queue %q: want the ARN of a queue of SQS", arn)
	}
	u := url.URL{Scheme: "https", Host: "sqs." + parts[3] + "." + suffix(parts[1])}
	if named, err := url.Parse(drivers.ForQueue(r.queue, "x")); err == nil && named.Host != "" {
		u.Scheme, u.Host = named.Scheme, named.Host
	}
	u.Path = "/" + parts[4] + "/" + parts[5]
	return u.String(), nil
}

// suffix is what the names of hosts end in, in a partition.
func suffix(partition string) string {
	if partition == "aws-cn" {
		return "amazonaws.com.cn"
	}
	return "amazonaws.com"
}
