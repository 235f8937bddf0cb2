package servers

import (
	"testing"

	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/infra/drivers/rabbit"
	"github.com/piecework/piecework/tests/conformance"
)

func TestRabbit(t *testing.T) {
	t.Parallel()
	r := StartRabbit(t)
	conformance.Queue(t, conformance.QueueHarness{
		Lane: lanes(nil), Connect: conformance.ConnectTo(drivers.New(rabbit.Register), r.URL+"?queue=piecework.{queue}"),
		Restart: func(t *testing.T) {
			r.Stop()
			if err := r.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
		},
	})
}
