package command_test

import (
	"context"
	"time"

	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/pubsubq"
)

// lossy returns a broker that takes messages and brings none.
func lossy() drivers.Broker { return drivers.Broker{Direct: void{}} }

type void struct{}

func (void) SendDirect(context.Context, string, time.Duration, []pubsubq.Raw) error { return nil }

func (void) SubscribeDirect(string) (pubsubq.DirectSubscription, error) { return void{}, nil }

func (void) ReceiveDirect(ctx context.Context, _ int) ([]*pubsubq.Delivery, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (void) Close() error { return nil }
