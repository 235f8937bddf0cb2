package conformance

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"gocloud.dev/pubsub"
	"gocloud.dev/pubsub/driver"
	"gocloud.dev/pubsub/drivertest"
)

// DriverHarness is a gocloud pubsub driver to be tested.
type DriverHarness struct {
	// Create creates a topic, or what has its place, for example a queue. Optional.
	Create func(t *testing.T, topic string)
	// Subscribe creates a subscription of a topic. Optional: without it, a subscription has the
	// name of its topic.
	Subscribe func(t *testing.T, topic, subscription string)
	// Remove removes a topic and its subscriptions, while they are open. The driver must then find
	// that they are gone.
	Remove func(t *testing.T, topic string)
	// Topic and Subscription open what was created. Their As must give the driver.
	Topic        func(t *testing.T, name string) *pubsub.Topic
	Subscription func(t *testing.T, name string) *pubsub.Subscription

	// Cannot has the cases of go-cloud's suite that the driver cannot pass, each with the reason.
	// They are skipped; a name that is no case fails.
	Cannot map[string]string

	// The types that As must give, made by [As]. A nil one is not tested.
	TopicAs, SubscriptionAs, MessageAs, BeforeSendAs, TopicErrorAs, SubscriptionErrorAs func(as func(any) bool) error
}

// As returns a test of an As function: it must give a T.
func As[T any]() func(as func(any) bool) error {
	return func(as func(any) bool) error {
		var target T
		if !as(&target) {
			return fmt.Errorf("As(%T) = false, want true", &target)
		}
		return nil
	}
}

// Driver runs go-cloud's own conformance tests of a pubsub driver.
func Driver(t *testing.T, h DriverHarness) {
	t.Helper()
	skipped := map[string]bool{}
	drivertest.RunConformanceTests(t, func(_ context.Context, t *testing.T) (drivertest.Harness, error) {
		t.Helper()
		_, name, _ := strings.Cut(t.Name(), "/")
		if why, ok := h.Cannot[name]; ok {
			skipped[name] = true
			t.Skip(why)
		}
		return &driverHarness{DriverHarness: h, t: t, names: map[driver.Topic]string{}}, nil
	}, []drivertest.AsTest{asTest{h}})
	for name := range h.Cannot {
		if !skipped[name] {
			t.Errorf("the harness names %q as a case that the driver cannot pass, but no such case has run", name)
		}
	}
}

// driverHarness is the harness as go-cloud wants it, for one case.
type driverHarness struct {
	DriverHarness

	t     *testing.T
	n     int
	names map[driver.Topic]string
}

// newName returns a name for a topic or a subscription.
func (h *driverHarness) newName() string {
	h.n++
	_, name, _ := strings.Cut(h.t.Name(), "/")
	return strings.ToLower(strings.Map(func(r rune) rune {
		if r == '/' || r == ' ' {
			return '-'
		}
		return r
	}, fmt.Sprintf("%.40s-%d", name, h.n)))
}

// CreateTopic creates and opens a topic.
func (h *driverHarness) CreateTopic(context.Context, string) (driver.Topic, func(), error) {
	name := h.newName()
	if h.Create != nil {
		h.Create(h.t, name)
	}
	var d driver.Topic
	if !h.Topic(h.t, name).As(&d) {
		return nil, nil, fmt.Errorf("As(%T) = false, want true", &d)
	}
	h.names[d] = name
	return d, func() {}, nil
}

// CreateSubscription creates and opens a subscription of a topic.
func (h *driverHarness) CreateSubscription(_ context.Context, dt driver.Topic, _ string) (driver.Subscription, func(), error) {
	name := h.names[dt]
	if h.Subscribe != nil {
		subscription := h.newName()
		h.Subscribe(h.t, name, subscription)
		name = subscription
	}
	var d driver.Subscription
	if !h.Subscription(h.t, name).As(&d) {
		return nil, nil, fmt.Errorf("As(%T) = false, want true", &d)
	}
	return d, func() {}, nil
}

// MakeNonexistentTopic opens a topic and removes it.
func (h *driverHarness) MakeNonexistentTopic(ctx context.Context) (driver.Topic, error) {
	d, _, err := h.CreateTopic(ctx, "")
	if err != nil {
		return nil, err
	}
	h.Remove(h.t, h.names[d])
	return d, nil
}

// MakeNonexistentSubscription opens a subscription and removes it.
func (h *driverHarness) MakeNonexistentSubscription(ctx context.Context) (driver.Subscription, func(), error) {
	dt, _, err := h.CreateTopic(ctx, "")
	if err != nil {
		return nil, nil, err
	}
	d, cleanup, err := h.CreateSubscription(ctx, dt, "")
	if err != nil {
		return nil, nil, err
	}
	h.Remove(h.t, h.names[dt])
	return d, cleanup, nil
}

// Close does nothing: the harness's functions clean up with the test.
func (*driverHarness) Close() {}

// MaxBatchSizes returns 0 and 0: the drivers have no limit as small as the suite's batches.
func (*driverHarness) MaxBatchSizes() (send, ack int) { return 0, 0 }

// SupportsMultipleSubscriptions returns true: a driver that does not has the case in Cannot.
func (*driverHarness) SupportsMultipleSubscriptions() bool { return true }

// asTest tests the As functions.
type asTest struct{ h DriverHarness }

func check(test func(func(any) bool) error, as func(any) bool) error {
	if test == nil {
		return nil
	}
	return test(as)
}

func (asTest) Name() string                           { return "types" }
func (a asTest) TopicCheck(t *pubsub.Topic) error     { return check(a.h.TopicAs, t.As) }
func (a asTest) MessageCheck(m *pubsub.Message) error { return check(a.h.MessageAs, m.As) }
func (asTest) AfterSend(func(any) bool) error         { return nil }
func (a asTest) BeforeSend(as func(any) bool) error   { return check(a.h.BeforeSendAs, as) }
func (a asTest) SubscriptionCheck(s *pubsub.Subscription) error {
	return check(a.h.SubscriptionAs, s.As)
}

func (a asTest) TopicErrorCheck(t *pubsub.Topic, err error) error {
	return check(a.h.TopicErrorAs, func(i any) bool { return t.ErrorAs(err, i) })
}

func (a asTest) SubscriptionErrorCheck(s *pubsub.Subscription, err error) error {
	return check(a.h.SubscriptionErrorAs, func(i any) bool { return s.ErrorAs(err, i) })
}
