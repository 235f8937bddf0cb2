package drivers

import (
	"context"
	"time"
)

// Hidden is a message that the platform has received, to call a function with it, and that the
// function gives back.
type Hidden struct {
	Receipt string        // by which the service knows this delivery
	For     time.Duration // after how long it should be delivered again
}

// Hider is a Queue that can say when such messages come again. The result of [NewQueue] is one. It
// does nothing where the service cannot do that.
type Hider interface {
	// Hide makes each message come again after its own time instead of the service's. Source is the
	// service's name of the queue. After an error some messages may come at another time.
	Hide(ctx context.Context, source string, some []Hidden) error
}

// Hide lets messages come again after some time.
func (q *queue) Hide(ctx context.Context, source string, some []Hidden) error {
	if q.broker.Hide == nil {
		return nil
	}
	return q.broker.Hide(ctx, source, some)
}
