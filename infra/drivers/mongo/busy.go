package mongo

import (
	"context"
	"errors"
	"regexp"
	"strconv"
	"time"

	"go.mongodb.org/mongo-driver/mongo"
	"gocloud.dev/docstore/driver"

	"github.com/piecework/piecework/store"
)

// codeTooManyRequests is the error of Cosmos DB for RU when it is asked for more than was paid for.
const codeTooManyRequests = 16500

// retryAfter finds how long to wait in its text, which is, with or without that part:
//
//	Error=16500, RetryAfterMs=8, Details='Response status code does not indicate success: TooManyRequests (429); ...
var retryAfter = regexp.MustCompile(`(?i)\bRetryAfterMs=(\d{1,9})\b`)

// waitOf is how long a text of that error says to wait; 0: it does not.
func waitOf(text string) time.Duration {
	m := retryAfter.FindStringSubmatch(text)
	if m == nil {
		return 0
	}
	ms, _ := strconv.Atoi(m[1]) // digits, and few
	return time.Duration(ms) * time.Millisecond
}

// busy is an error with which the server says how long to wait.
type busy struct {
	error

	wait time.Duration
}

var _ store.Hint = busy{}

// RetryAfter is how long to wait.
func (b busy) RetryAfter() time.Duration { return b.wait }

// Unwrap is the error of the library.
func (b busy) Unwrap() error { return b.error }

// hinted makes an error say how long to wait, if its text does. The texts of other errors may hold
// what users chose, the keys of jobs for instance.
func hinted(err error) error {
	server, ok := errors.AsType[mongo.ServerError](err)
	if !ok || !server.HasErrorCode(codeTooManyRequests) {
		return err
	}
	if wait := waitOf(server.Error()); wait > 0 {
		return busy{err, wait}
	}
	return err
}

// heeding passes on when a query is to be asked again.
type heeding struct{ driver.DocumentIterator }

// Next reads the next document.
func (h heeding) Next(ctx context.Context, doc driver.Document) error {
	return hinted(h.DocumentIterator.Next(ctx, doc))
}
