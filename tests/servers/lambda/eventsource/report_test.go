package eventsource

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// The cases are those of AWS's page on errors with SQS: what is a complete success, what a complete failure.
func TestReports(t *testing.T) {
	t.Parallel()
	batch := []types.Message{{MessageId: aws.String("a")}, {MessageId: aws.String("b")}, {MessageId: aws.String("c")}}
	for answer, want := range map[string]string{
		``:                           "abc",
		`null`:                       "abc",
		`{}`:                         "abc",
		`{"batchItemFailures":null}`: "abc",
		`{"batchItemFailures":[]}`:   "abc",
		`{"batchItemFailures":[{"itemIdentifier":"b"}]}`:                        "ac",
		`{"batchItemFailures":[{"itemIdentifier":"b"},{"itemIdentifier":"b"}]}`: "ac",
		`{"batchItemFailures":[{"itemIdentifier":"c"},{"itemIdentifier":"a"}]}`: "b",
		`{"batchItemFailures":[{"itemIdentifier":""}]}`:                         "fail",
		`{"batchItemFailures":[{"itemIdentifier":null}]}`:                       "fail",
		`{"batchItemFailures":[{"messageId":"b"}]}`:                             "fail",
		`{"batchItemFailures":[{"ItemIdentifier":"b"}]}`:                        "fail",
		`{"batchItemFailures":[{"itemIdentifier":"z"}]}`:                        "fail",
		`{"batchItemFailures":[{"itemIdentifier":"a"},{"itemIdentifier":"z"}]}`: "fail",
		`{"batchItemFailures":["a"]}`:                                           "fail",
		`{"batchItemFailures":{}}`:                                              "fail",
		`{`:                                                                     "fail",
		`done`:                                                                  "fail",
	} {
		got := ""
		messages, err := succeeded(batch, []byte(answer))
		if err != nil {
			got = "fail"
		}
		for _, m := range messages {
			got += *m.MessageId
		}
		if got != want {
			t.Errorf("%s: %s (%v), want %s", answer, got, err, want)
		}
	}
}
