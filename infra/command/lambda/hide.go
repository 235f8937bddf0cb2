package lambda

import (
	"context"
	"errors"

	"github.com/piecework/piecework/functions/lambda"
	"github.com/piecework/piecework/infra/drivers"
)

// hide returns what tells the queues when messages come again that a function gives back; nil if they take no such word.
func hide(lanes drivers.Queue) func(context.Context, []lambda.GivenBack) error {
	hider, ok := lanes.(drivers.Hider)
	if !ok {
		return nil
	}
	return func(ctx context.Context, back []lambda.GivenBack) error {
		var sources []string // an event has one, but need not
		by := map[string][]drivers.Hidden{}
		for _, b := range back {
			source := b.Message.EventSourceARN
			if by[source] == nil {
				sources = append(sources, source)
			}
			by[source] = append(by[source], drivers.Hidden{Receipt: b.Message.ReceiptHandle, For: b.After})
		}
		var errs []error
		for _, source := range sources {
			errs = append(errs, hider.Hide(ctx, source, by[source]))
		}
		return errors.Join(errs...)
	}
}
