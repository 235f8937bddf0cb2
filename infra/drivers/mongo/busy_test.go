package mongo

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/mongo"

	"github.com/piecework/piecework/store"
)

func TestHowLongCosmosSaysToWait(t *testing.T) {
	const reason = `Details='Response status code does not indicate success: TooManyRequests (429); Substatus: 3200; Reason: ({
  "Errors": [
    "Request rate is large. More Request Units may be needed, so no changes were made."
  ]
});`
	command := func(code int32, text string) error { return mongo.CommandError{Code: code, Message: text} }
	write := func(code int, text string) error {
		return mongo.BulkWriteError{WriteError: mongo.WriteError{Code: code, Message: text}}
	}
	for _, c := range []struct {
		err  error
		want time.Duration
	}{
		{command(16500, "Error=16500, RetryAfterMs=8, "+reason), 8 * time.Millisecond},
		{write(16500, "Error=16500, RetryAfterMs=1234, "+reason), 1234 * time.Millisecond},
		{fmt.Errorf("x: %w", mongo.BulkWriteException{WriteErrors: []mongo.BulkWriteError{{WriteError: mongo.WriteError{
			Code: 16500, Message: "Error=16500, RetryAfterMs=56, " + reason,
		}}}}), 56 * time.Millisecond},
		{command(16500, "Error=16500, RetryAfterMs=0, "+reason), 0},
		{command(16500, "Error=16500, RetryAfterMs=-5, "+reason), 0},
		{command(16500, "Error=16500, RetryAfterMs=99999999999999999999, "+reason), 0},
		{command(16500, `Message: {"Errors":["Request rate is large"]}`), 0}, // as it was until 2019
		{command(50, "Request timed out. Retries due to rate limiting: True."), 0},
		{write(11000, `E11000 duplicate key error: { _id: "job-RetryAfterMs=60000," }`), 0}, // what a user chose as a key
		{errors.New("Error=16500, RetryAfterMs=8"), 0},                                      // no server said so
		{nil, 0},
	} {
		err := hinted(c.err)
		hint, ok := errors.AsType[store.Hint](err)
		if ok != (c.want > 0) || ok && hint.RetryAfter() != c.want {
			t.Errorf("%v: %T, want %v", c.err, err, c.want)
		}
		if c.err != nil && (err == nil || err.Error() != c.err.Error()) || c.err == nil && err != nil {
			t.Errorf("%v became %v", c.err, err)
		}
	}
}
