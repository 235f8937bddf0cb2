package lambda_test

import (
	"testing"

	"github.com/aws/aws-lambda-go/events"

	"github.com/piecework/piecework/functions"
)

// A message that only a newer version understands comes again a few times, in case one is being
// rolled out.
func TestWhatOnlyANewerVersionUnderstandsIsGivenBack(t *testing.T) {
	w := newWorld(t, sleeper(), functions.Config{})
	h := w.submits(t, w.options())
	for count, back := range map[string][]string{"1": {"m1"}, "4": {"m1"}, "5": nil, "": nil} {
		r := record(submitARN, "", `{"kind":"new"}`)
		r.Attributes = map[string]string{"ApproximateReceiveCount": count}
		failed, err := deliver(t.Context(), t, h, []events.SQSMessage{record(submitARN, "", `{"kind":"sleep","args":1,"key":"k"}`), r})
		wantBack(t, failed, err, back...)
	}
	if parked, _, err := w.Client().Parked(t.Context(), 10, ""); err != nil || len(parked) != 1 {
		t.Errorf("parked %+v, error %v", parked, err)
	}
}
