package lambda

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/piecework/piecework/functions"
)

// Handler answers the invocations of a function. It has a form that lambda.Start of aws-lambda-go
// takes, and is safe for concurrent use.
type Handler func(ctx context.Context, event json.RawMessage) (any, error)

// Options configure a handler. The zero value of each field means its default.
type Options struct {
	// Concurrency is how many messages of one event are handled at once. Default: all of them for
	// Execute, so that the size of the event source's batches decides; 64 for Submit, which is as
	// many as the store is usefully asked at once.
	Concurrency int
	// QueueName returns the name of a queue in this system, by its ARN. Default: the last part of
	// the ARN. The name is for parked messages and the log. If QueueName panics, the default
	// replaces it.
	QueueName func(arn string) string
	// Hide, if not nil, is called with messages that are given back and how long to hide each: it
	// may call ChangeMessageVisibilityBatch. It may be called several times for an event, one after
	// the other, and has until ctx ends. An error is logged, once for an event. Without Hide
	// messages come again when their visibility timeout is over, unless sweep sends a hint before.
	Hide func(ctx context.Context, back []GivenBack) error
	// OnOutcome, if not nil, is called with the outcome of each message and the name of its queue,
	// for metrics and tests. It must not block. A call that panics or takes longer than 250
	// milliseconds is logged.
	OnOutcome func(queue string, out functions.Outcome)
	// Log gets what an operator should know. Default: the runtime's.
	Log *slog.Logger
}

func (o *Options) withDefaults(rt *functions.Runtime) (Options, error) {
	var opts Options
	if o != nil {
		opts = *o
	}
	if rt == nil {
		return opts, fmt.Errorf("%w: lambda: a handler needs a runtime", functions.ErrConfig)
	}
	if opts.Concurrency < 0 {
		return opts, fmt.Errorf("%w: lambda: the option Concurrency (%d) cannot be negative", functions.ErrConfig, opts.Concurrency)
	}
	if opts.Log == nil {
		opts.Log = rt.Config().Log
	}
	return opts, nil
}

// queueName is the name in a queue's ARN.
func queueName(arn string) string { return arn[strings.LastIndexByte(arn, ':')+1:] }

var errNoTime = errors.New("there was no time left to start it")
