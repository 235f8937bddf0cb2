package worker

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/piecework/piecework/functions/internal/guard"
)

// pause spaces out what fails: longer each time, with jitter, up to a bound.
type pause struct {
	first, most time.Duration
	now         time.Duration
}

func (p *pause) next() time.Duration {
	p.now = min(max(p.first, 2*p.now), p.most)
	return jitter(p.now, rand.Uint64())
}

func (p *pause) reset() { p.now = 0 }

// jitter takes up to a tenth off d, or adds it.
func jitter(d time.Duration, rnd uint64) time.Duration {
	tenth := d / 10
	return d - tenth + time.Duration(rnd%uint64(2*tenth+1))
}

// spread adds up to half to d, so that what was refused together does not come again together.
func spread(d time.Duration) time.Duration {
	if d < 2 {
		return d
	}
	return d + rand.N(d/2)
}

// sleep waits d or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// safely calls f, in which a panic is an error with its stack. The loops here go on after one: a worker that is down
// because of one message would be of no use to the others.
func safely(ctx context.Context, f func(ctx context.Context) error) error {
	err := guard.Inline(func() error { return f(ctx) })
	if stack := guard.StackOf(err); stack != "" {
		return fmt.Errorf("%w\n%s", err, stack)
	}
	return err
}
