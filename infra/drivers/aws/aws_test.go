package aws_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/smithy-go"

	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/infra/drivers/aws"
)

func TestWhatMustBeGranted(t *testing.T) {
	set := drivers.New(aws.Register)
	refused := func(service, operation, code, message string) error {
		return fmt.Errorf("wrapped: %w", &smithy.OperationError{
			ServiceID: service, OperationName: operation, Err: &smithy.GenericAPIError{Code: code, Message: message},
		})
	}
	for _, c := range []struct {
		err  error
		want string
	}{
		{refused("DynamoDB", "Query", "AccessDeniedException", "User: arn:aws:iam::1:user/x is not authorized to perform: dynamodb:Query on resource: arn:aws:dynamodb:r:1:table/t/index/due because no"),
			"grant dynamodb:Query on arn:aws:dynamodb:r:1:table/t/index/due to this process's role"},
		{refused("S3", "PutObject", "AccessDenied", `User: x is not authorized to perform: s3:PutObject on resource: "arn:aws:s3:::b/k" because`), "grant s3:PutObject on arn:aws:s3:::b/k to"},
		{refused("SQS", "SendMessageBatch", "AccessDenied", "Access to the resource is denied."), "grant sqs:SendMessage to"},
		{refused("DynamoDB", "DescribeTimeToLive", "AccessDeniedException", ""), "grant dynamodb:DescribeTimeToLive to"},
		{refused("S3", "ListObjectsV2", "AccessDenied", "Access Denied"), "grant s3:ListBucket to"},
		{refused("DynamoDB", "Query", "ValidationException", "not authorized to perform: x:Y"), ""},
		{errors.New("not authorized to perform: x:Y"), ""},
	} {
		if got := set.Denied(c.err); !strings.HasPrefix(got, c.want) || (got == "") != (c.want == "") {
			t.Errorf("%v: %q, want %q", c.err, got, c.want)
		}
	}
}

func TestFactsOfAQueue(t *testing.T) {
	attributes := object{"VisibilityTimeout": "90", "RedrivePolicy": `{"deadLetterTargetArn":"arn:aws:sqs:r:1:dead","maxReceiveCount":7}`}
	s := newStub(t, map[string]func(int, object) (int, object){
		"GetQueueAttributes": func(int, object) (int, object) { return http.StatusOK, object{"Attributes": attributes} },
	})
	q, err := drivers.New(aws.Register).OpenQueue(t.Context(), "awssqs://"+s.host()+"/1/piecework-{queue}?region=x&endpoint="+s.url)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close(t.Context())
	inspect := func() (*drivers.QueueFacts, error) { return q.(drivers.Inspector).Inspect(t.Context(), "default") }
	f, err := inspect()
	if err != nil || f.Hidden.Seconds() != 90 || f.DeadLetterQueue != "arn:aws:sqs:r:1:dead" || f.Deliveries != 7 {
		t.Errorf("facts %+v, error %v: want 90 s hidden and 7 deliveries before arn:aws:sqs:r:1:dead", f, err)
	}
	delete(attributes, "RedrivePolicy")
	if f, err = inspect(); err != nil || f.DeadLetterQueue != "" {
		t.Errorf("facts %+v, error %v: want no dead-letter queue", f, err)
	}
	attributes["RedrivePolicy"] = "{"
	if _, err = inspect(); err == nil || !strings.Contains(err.Error(), "redrive policy {") {
		t.Errorf("error %v, want one about the redrive policy", err)
	}
}
