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

func TestFactsOfATableAndAQueue(t *testing.T) {
	attributes := object{"VisibilityTimeout": "90", "RedrivePolicy": `{"deadLetterTargetArn":"arn:aws:sqs:r:1:dead","maxReceiveCount":7}`}
	s := newStub(t, map[string]func(int, object) (int, object){
		"DescribeTable":      ok(described()),
		"DescribeTimeToLive": ok(object{"TimeToLiveDescription": object{"TimeToLiveStatus": "ENABLED", "AttributeName": "other"}}),
		"GetQueueUrl":        ok(object{"QueueUrl": "http://host/1/dead"}),
		"GetQueueAttributes": func(_ int, req object) (int, object) {
			if strings.HasSuffix(req["QueueUrl"].(string), "/dead") {
				return http.StatusOK, object{"Attributes": object{"ApproximateNumberOfMessages": "3"}}
			}
			return http.StatusOK, object{"Attributes": attributes}
		},
	})
	set := drivers.New(aws.Register)
	table := "dynamodb://jobs?region=x&endpoint=" + s.url
	coll, closeStore, err := set.OpenStore(t.Context(), table)
	if err != nil {
		t.Fatal(err)
	}
	defer closeStore()
	f, err := set.StoreFacts(t.Context(), table, coll)
	if err != nil || f.Expires != drivers.No || !strings.Contains(f.Expiry, `"other"`) || f.Clock == nil {
		t.Errorf("%+v, %v", f, err)
	}
	q, err := set.OpenQueue(t.Context(), "awssqs://"+s.host()+"/1/piecework-{queue}?region=x&endpoint="+s.url)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close(t.Context())
	l, err := q.(drivers.Inspector).Inspect(t.Context(), "default")
	if err != nil || l.Hidden.Seconds() != 90 || l.DeadLetters != drivers.Yes || l.Deliveries != 7 || l.Waiting != 3 {
		t.Errorf("%+v, %v", l, err)
	}
	delete(attributes, "RedrivePolicy")
	if l, err = q.(drivers.Inspector).Inspect(t.Context(), "default"); err != nil || l.DeadLetters != drivers.No {
		t.Errorf("%+v, %v", l, err)
	}
	attributes["RedrivePolicy"] = "{"
	if l, err = q.(drivers.Inspector).Inspect(t.Context(), "default"); err == nil || l.Hidden == 0 {
		t.Errorf("%+v, %v", l, err)
	}
}
