package kit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/blob/memblob"
	"gocloud.dev/docstore"

	"github.com/piecework/piecework/blobout"
	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/infra/drivers/mem"
	"github.com/piecework/piecework/localdev/kit/internal/tripwire"
	"github.com/piecework/piecework/pubsubq"
	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/store/relay"
)

// desk is what survives the death of a runtime: the stored state, the queue and the clock.
type desk struct {
	opts   options
	coll   *docstore.Collection
	bucket *blob.Bucket
	rand   func() uint64
	closed []io.Closer // at the end

	mu   sync.Mutex // handlers may submit jobs
	at   time.Time
	mail []letter
	sent int
}

// letter is a message in the queue.
type letter struct {
	at  time.Time
	n   int // in the order of sending
	msg pubsubq.Message
}

func newDesk(o options) (*desk, error) {
	coll, err := mem.OpenCollection()
	if err != nil {
		return nil, err
	}
	src := rand.New(rand.NewPCG(o.seed, 0))
	var mu sync.Mutex
	bucket := memblob.OpenBucket(nil)
	return &desk{opts: o, coll: coll, bucket: bucket, at: o.start, closed: []io.Closer{coll, bucket}, rand: func() uint64 {
		mu.Lock()
		defer mu.Unlock()
		return src.Uint64()
	}}, nil
}

func (d *desk) close() {
	for _, c := range slices.Backward(d.closed) {
		_ = c.Close() // memory only
	}
}

// now is the time of the desk's clock.
func (d *desk) now() time.Time {
	if d.opts.wall {
		return time.Now()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.at
}

// move moves the clock forward.
func (d *desk) move(to time.Time) {
	if d.opts.wall {
		timer := time.NewTimer(time.Until(to))
		<-timer.C
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if to.After(d.at) {
		d.at = to
	}
}

// runtime returns a runtime over the desk's state. A wire, if there is one, counts its writes and
// can end it.
func (d *desk) runtime(jobs *functions.Registry, worker string, wire *tripwire.Wire) (*functions.Runtime, *store.Store, error) {
	coll := relay.New(d.coll, d.opts.hooks)
	d.closed = append(d.closed, coll)
	if wire != nil {
		coll = tripwire.Docs(coll, wire)
	}
	d.closed = append(d.closed, coll)
	opts, cfg := d.opts.store, d.opts.config
	if opts.Now == nil {
		opts.Now = d.now
	}
	if opts.Rand == nil {
		opts.Rand = d.rand
	}
	if opts.Pause == nil && !d.opts.wall {
		opts.Pause = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	}
	st, err := store.New(coll, &opts)
	if err != nil {
		return nil, nil, err
	}
	if cfg.Now == nil {
		cfg.Now = d.now
	}
	if cfg.Rand == nil {
		cfg.Rand = d.rand
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if !d.opts.wall {
		cfg.Parallel = 1 // the same order each time
	}
	cfg.Worker = cmp.Or(cfg.Worker, worker)
	rt, err := functions.New(jobs, functions.Backends{Store: st, Queue: sender{d, wire}, Blobs: d.blobs(wire)}, cfg)
	return rt, st, err
}

func (d *desk) blobs(wire *tripwire.Wire) *blobout.Store {
	bucket := d.bucket
	if wire != nil {
		bucket = tripwire.Blobs(bucket, wire)
		d.closed = append(d.closed, bucket)
	}
	return blobout.New(bucket, &blobout.Options{Parallel: 1})
}

// sender puts messages into the desk's queue.
type sender struct {
	desk *desk
	wire *tripwire.Wire
}

var _ functions.Sender = sender{}

// Send puts messages into the queue.
func (s sender) Send(_ context.Context, queue string, delay time.Duration, msgs ...pubsubq.Message) error {
	return s.wire.Do(fmt.Sprintf("send to queue %s", queue), func() error {
		at := s.desk.now().Add(max(delay, 0))
		s.desk.mu.Lock()
		defer s.desk.mu.Unlock()
		for _, m := range msgs {
			s.desk.sent++
			s.desk.mail = append(s.desk.mail, letter{at, s.desk.sent, m})
		}
		return nil
	})
}

// MaxDelay is unlimited.
func (s sender) MaxDelay(string) time.Duration { return math.MaxInt64 }

// takeAll takes all messages in the order of sending.
func (d *desk) takeAll() (all []pubsubq.Message) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, l := range d.mail {
		all = append(all, l.msg)
	}
	d.mail = nil
	return all
}

// next takes the message that has been due longest.
func (d *desk) next() (pubsubq.Message, bool) {
	now := d.now()
	d.mu.Lock()
	defer d.mu.Unlock()
	best := -1
	for i, l := range d.mail {
		if !l.at.After(now) && (best < 0 || l.at.Before(d.mail[best].at) || l.at.Equal(d.mail[best].at) && l.n < d.mail[best].n) {
			best = i
		}
	}
	if best < 0 {
		return pubsubq.Message{}, false
	}
	m := d.mail[best].msg
	d.mail = slices.Delete(d.mail, best, best+1)
	return m, true
}

// event returns when a message or a record is due next, after now and not after until; false if
// nothing is.
func (d *desk) event(ctx context.Context, st *store.Store, until time.Time) (time.Time, bool, error) {
	now := d.now()
	best := until.Add(time.Nanosecond)
	d.mu.Lock()
	for _, l := range d.mail {
		if l.at.After(now) && l.at.Before(best) {
			best = l.at
		}
	}
	d.mu.Unlock()
	var errs []error
	for partition := range store.DuePartitions {
		refs, err := st.Due(ctx, partition, store.At(until), "", 100)
		errs = append(errs, err)
		for _, r := range refs {
			at := r.Due().Time()
			if !at.After(now) { // sweep left it: a newer record, or a step to repeat
				at = now.Add(time.Second)
			}
			if at.Before(best) {
				best = at
			}
		}
	}
	return best, !best.After(until), errors.Join(errs...)
}

// waiting reports whether a message can be received now.
func (d *desk) waiting() bool { return d.canReceive(func(pubsubq.Message) bool { return true }) }

// hasMessage reports whether a message of that record can be received now.
func (d *desk) hasMessage(id string) bool {
	return d.canReceive(func(m pubsubq.Message) bool { return m.ID == id })
}

// canReceive reports whether a message that matches can be received now.
func (d *desk) canReceive(match func(pubsubq.Message) bool) bool {
	now := d.now()
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.ContainsFunc(d.mail, func(l letter) bool { return !l.at.After(now) && match(l.msg) })
}
