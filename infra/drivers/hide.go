package drivers

import (
	"context"
	"time"
)

// Hidden is a message that somebody else has received, for instance to call a function with it, and that is given back.
type Hidden struct {
	Receipt string        // by which the service knows this delivery
	For     time.Duration // after how long it should be delivered again
}

// Hider is a Queue that can say when such messages come again. Those of [NewQueue] are; where the service cannot do
// that, they do nothing.
type Hider interface {
	// Hide lets messages come again after some time each, and not when the service would deliver them by itself. Source is
	// the queue that they are of, as the service calls it. An error says that some may come at another time.
	Hide(ctx context.Context, source string, some []Hidden) error
}

// Hide lets messages come again after some time.
func (q *queue) Hide(ctx context.Context, source string, some []Hidden) error {
	if q.broker.Hide == nil {
		return nil
	}
	return q.broker.Hide(ctx, source, some)
}
