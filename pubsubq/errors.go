package pubsubq

import "errors"

var (
	// ErrMalformed says that a body is not a message or a submission. Receiving it again will not help: it should
	// be acknowledged and reported.
	ErrMalformed = errors.New("malformed message")

	// ErrDelay says that a delay is longer than the queue can keep a message back. The caller leaves the waiting
	// to sweep, which reads the record's due time.
	ErrDelay = errors.New("delay is longer than the queue supports")

	// ErrShutdown says that the Sender or Receiver has been shut down.
	ErrShutdown = errors.New("has been shut down")
)
