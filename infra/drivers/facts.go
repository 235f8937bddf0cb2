package drivers

import (
	"context"
	"time"

	"gocloud.dev/docstore"
)

// Facts are what a driver can tell of its service beside what using it shows: for the doctor. Telling is optional, and so
// is each fact: what is zero is not known. What a driver could be expected to tell and cannot, it says in a note.

// Known is the answer to a question that not all drivers can answer.
type Known int

// The answers.
const (
	Unknown Known = iota
	No
	Yes
)

// Clock is what a service said of the time, and when that was by this machine's clock.
type Clock struct {
	Server         time.Time
	Sent, Received time.Time     // of the request that brought it
	Grain          time.Duration // Server is rounded down to this; 0: exact
}

// Offset is how far the service's clock is ahead of this machine's, and how far off that may be.
func (c Clock) Offset() (ahead, give time.Duration) {
	trip := c.Received.Sub(c.Sent)
	return c.Server.Add(c.Grain / 2).Sub(c.Sent.Add(trip / 2)), trip/2 + c.Grain/2
}

// StoreFacts is what a store's driver can tell.
type StoreFacts struct {
	// Expires says whether the server deletes by the field store.ExpiresField, and Expiry what it says of that.
	Expires Known
	Expiry  string
	Clock   *Clock // nil: not known
	// ClockNote says why there is no Clock.
	ClockNote string
	Remarks   []Remark
}

// Remark is what there is to say of one kind of service only.
type Remark struct {
	What   string // two words at most, such as "partitions"
	Why    string
	Remedy string // what to do about it; "": nothing
	Fatal  bool   // jobs cannot run so
}

// LaneFacts is what a queue's driver can tell of a lane.
type LaneFacts struct {
	// Unseen says why nothing at all is known.
	Unseen string
	// Hidden is how long a received message is hidden from others; HiddenName is what the service calls that, and
	// HiddenRemedy how to change it.
	Hidden       time.Duration
	HiddenName   string
	HiddenRemedy string
	HiddenNote   string // what there is to say if it is not known
	// Extended says that the receivers of this driver extend it while they hold a message, so that it matters only where
	// the platform receives, to call a function. Pulled says that it does not do that here.
	Extended, Pulled bool
	// Factor is by how many times it should exceed the timeout of such a function, by the service's own advice, and Most
	// the most that the service allows; 0: any.
	Factor int
	Most   time.Duration

	// DeadLetters says whether messages that are delivered again and again are set aside, and DeadLetterQueue where.
	DeadLetters     Known
	DeadLetterQueue string
	DeadNote        string // what there is to say if it is not known
	DeadRemedy      string // what to do if there is none, or about what waits there
	// Deliveries is after how many times, which should be no less than LeastDeliveries.
	Deliveries, LeastDeliveries int
	// Waiting is how many are there; negative: not known.
	Waiting int

	Remarks []Remark
}

// Inspector is a Queue that tells facts. Those of [NewQueue] are.
type Inspector interface {
	// Inspect tells the facts of a lane; nil if the driver knows none. With an error it tells what it found out all the same.
	Inspect(ctx context.Context, lane string) (*LaneFacts, error)
}

// Inspect tells the facts of a lane.
func (q *queue) Inspect(ctx context.Context, lane string) (*LaneFacts, error) {
	if q.broker.Inspect == nil {
		return nil, nil
	}
	return q.broker.Inspect(ctx, lane)
}

// StoreFacts tells the facts of the store that a URL names, which is open; nil if the driver knows none. With an error it
// tells what it found out all the same.
func (s *Set) StoreFacts(ctx context.Context, rawURL string, coll *docstore.Collection) (*StoreFacts, error) {
	a, d, err := pick(s.stores, "store", rawURL)
	if err != nil || d.Facts == nil {
		return nil, err
	}
	return d.Facts(ctx, a, coll)
}

// PlanNote says what is known of how the queries of the store run that a URL names, if it does not tell their plans.
func (s *Set) PlanNote(rawURL string) string {
	_, d, _ := pick(s.stores, "store", rawURL) // of an unknown store nothing is known
	return d.PlanNote
}

// AddDenial registers a function that says what must be granted to whom, if an error is that of one of its services which
// refuses for lack of rights, and "" otherwise.
func (s *Set) AddDenial(remedy func(err error) string) { s.denials = append(s.denials, remedy) }

// Denied says what must be granted, if an error comes from lack of rights and a driver can tell of which; else "".
func (s *Set) Denied(err error) string {
	for _, remedy := range s.denials {
		if text := remedy(err); text != "" {
			return text
		}
	}
	return ""
}
