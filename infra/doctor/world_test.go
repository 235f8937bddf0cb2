package doctor_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/piecework/piecework/infra/doctor"
	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/infra/drivers/files"
	"github.com/piecework/piecework/infra/drivers/sql"
	"github.com/piecework/piecework/pubsubq"
	"github.com/piecework/piecework/pubsubq/memqueue"
	"github.com/piecework/piecework/tests/printed"
)

// world is a deployment in a directory, whose queues are in this process.
type world struct {
	doctor.Options

	t        *testing.T
	queue    *memqueue.Queue
	register []func(*drivers.Set)
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir := filepath.ToSlash(t.TempDir())
	w := &world{t: t, queue: memqueue.New(nil), Options: doctor.Options{
		Config: drivers.Config{
			Store: "sqlite://" + dir + "/records.db", Queues: "here://{queue}", Blobs: "file://" + dir + "/blobs",
		},
		Queues: []string{"default"}, Patience: time.Second,
	}}
	t.Cleanup(func() { w.queue.Close() })
	w.register = []func(*drivers.Set){sql.Register, files.Register}
	w.broker("here", drivers.Broker{Direct: w.queue})
	return w
}

// broker makes the queues those of a broker.
func (w *world) broker(scheme string, b drivers.Broker) {
	w.Config.Queues = scheme + "://{queue}"
	w.register = append(w.register, func(s *drivers.Set) {
		s.AddQueue(scheme, func(_ context.Context, _ *drivers.Address, log *slog.Logger) (drivers.Queue, error) {
			return drivers.NewQueue(b, log), nil
		})
	})
}

// store makes the store one of a driver.
func (w *world) store(d drivers.StoreDriver) {
	w.Config.Store = "other://x"
	w.register = append(w.register, func(s *drivers.Set) { s.AddStore("other", d) })
}

// wantFindings runs the doctor, and checks that it finds the deployment healthy, or not, and that
// its findings, which it returns, have all parts.
func (w *world) wantFindings(healthy bool, parts ...string) string {
	w.t.Helper()
	var out strings.Builder
	o := w.Options
	o.Set = drivers.New(w.register...)
	o.Report = func(f doctor.Finding) error {
		out.WriteString(f.String() + "\n")
		if (f.Level == doctor.OK) != (f.Remedy == "") {
			w.t.Errorf("finding %q: want a remedy if and only if it is not ok", f)
		}
		return nil
	}
	err := doctor.Check(w.t.Context(), o)
	if (err == nil) != healthy || err != nil && !errors.Is(err, doctor.ErrUnhealthy) {
		w.t.Errorf("error %v, want healthy = %t", err, healthy)
	}
	printed.Want(w.t, out.String(), parts...)
	return out.String()
}

// lossy is a broker that takes messages and brings none.
type lossy struct{}

func (lossy) SendDirect(context.Context, string, time.Duration, []pubsubq.Raw) error { return nil }

func (lossy) SubscribeDirect(string) (pubsubq.DirectSubscription, error) { return lossy{}, nil }

func (lossy) ReceiveDirect(ctx context.Context, _ int) ([]*pubsubq.Delivery, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (lossy) Close() error { return nil }
