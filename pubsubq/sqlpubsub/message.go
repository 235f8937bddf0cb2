package sqlpubsub

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"gocloud.dev/pubsub/driver"

	"github.com/piecework/piecework/pubsubq"
)

// MaxDelay is the longest delay. There is no limit.
const MaxDelay = time.Duration(1<<63 - 1)

// Outgoing is a message for BeforeSend, whose function gives a *Outgoing.
type Outgoing struct {
	// Delay keeps the message back.
	Delay time.Duration
}

// DelayHook delays a message. Call it in pubsub.Message.BeforeSend, with the function that the hook
// gets.
func DelayHook(as func(any) bool, d time.Duration) error {
	var out *Outgoing
	if !as(&out) {
		return fmt.Errorf("delay %v: this is not a message of sqlpubsub", d)
	}
	out.Delay = d
	return nil
}

// Incoming is what As gives of a received message.
type Incoming struct {
	ID         string // the same for all deliveries of the message, and for no other message
	Deliveries int    // how often the message was delivered, this time included
}

// row is a message in a table. Its due and id together are the receipt of a delivery: each delivery
// of a message that is hidden moves due on.
type row struct {
	due   int64 // when it may be received, in microseconds since 1970; before insert, in how many
	id    int64
	tries int64
	body  []byte
	meta  []byte // JSON, nil if there is none
}

func newRow(body []byte, metadata map[string]string, delay time.Duration) (row, error) {
	r := row{due: max(delay, 0).Microseconds(), body: append([]byte{}, body...)} // a copy, and not NULL
	if len(metadata) == 0 {
		return r, nil
	}
	var err error
	r.meta, err = json.Marshal(metadata)
	return r, err
}

func newRows(msgs []pubsubq.Raw, delay time.Duration) (rows []row, err error) {
	rows = make([]row, len(msgs))
	for i, m := range msgs {
		if rows[i], err = newRow(m.Body, m.Metadata, delay); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// number gives messages that are sent together ids, in their order: a random number, and the place
// in its last bits.
func number(rows []row) {
	const bits = 24 // for 16 million messages; 39 bits are random, beside the microsecond of due
	base := int64(rand.Uint64()>>1) &^ (1<<bits - 1)
	for i := range rows {
		rows[i].id = base | int64(i)
	}
}

// inOrder sorts messages by the time at which they were due.
func inOrder(rows []row) []row {
	slices.SortFunc(rows, func(a, b row) int {
		if a.due != b.due {
			return int(min(max(a.due-b.due, -1), 1))
		}
		return int(min(max(a.id-b.id, -1), 1))
	})
	return rows
}

func (r *row) incoming() Incoming {
	return Incoming{ID: strconv.FormatInt(r.id, 36), Deliveries: int(r.tries)}
}

func (r *row) raw() (pubsubq.Raw, error) {
	raw := pubsubq.Raw{Body: r.body}
	if r.meta == nil {
		return raw, nil
	}
	return raw, json.Unmarshal(r.meta, &raw.Metadata)
}

// message returns the message for gocloud.
func (r row) message(raw pubsubq.Raw) *driver.Message {
	in := r.incoming()
	return &driver.Message{
		LoggableID: in.ID, Body: raw.Body, Metadata: raw.Metadata, AckID: row{due: r.due, id: r.id, tries: r.tries, body: r.body, meta: r.meta},
		AsFunc: func(i any) bool {
			p, ok := i.(*Incoming)
			if ok {
				*p = in
			}
			return ok
		},
	}
}
