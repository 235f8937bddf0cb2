// Package keep holds on to messages that have been received and are neither acked nor nacked: it extends the time for
// which the broker hides them from others. gocloud's drivers do not, so that a worker that holds a message back for a
// while would see it delivered to another.
package keep

import (
	"context"
	"maps"
	"sync"
	"time"
)

// Keeper extends what was added and not forgotten. It has a goroutine while there is something to keep, and none
// otherwise. All methods may be called concurrently.
type Keeper[K comparable, V any] struct {
	every, hold time.Duration
	extend      func(ctx context.Context, items map[K]V)

	life context.Context
	stop context.CancelFunc

	mu      sync.Mutex
	items   map[K]item[V]
	running bool
	done    sync.WaitGroup
}

type item[V any] struct {
	value V
	until time.Time // when to give it up
}

// New returns a Keeper that calls extend every so often with all that it keeps, each for as long as hold, which may be 0:
// then it keeps nothing. Extend gets the keys that are still kept, may call Forget, and must end with ctx.
func New[K comparable, V any](every, hold time.Duration, extend func(ctx context.Context, items map[K]V)) *Keeper[K, V] {
	life, stop := context.WithCancel(context.Background()) //nolint:gosec // Close calls stop
	return &Keeper[K, V]{every: every, hold: hold, extend: extend, items: map[K]item[V]{}, life: life, stop: stop}
}

// Add begins to keep something.
func (k *Keeper[K, V]) Add(key K, value V) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.hold <= 0 || k.life.Err() != nil {
		return
	}
	k.items[key] = item[V]{value, time.Now().Add(k.hold)}
	if !k.running {
		k.running = true
		k.done.Go(k.run)
	}
}

// Forget ends it. What is not kept is no error.
func (k *Keeper[K, V]) Forget(key K) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.items, key)
}

// Close forgets everything, and waits until extend has returned.
func (k *Keeper[K, V]) Close() {
	k.mu.Lock()
	k.stop()
	clear(k.items)
	k.mu.Unlock()
	k.done.Wait()
}

func (k *Keeper[K, V]) run() {
	tick := time.NewTicker(k.every)
	defer tick.Stop()
	for {
		select {
		case <-k.life.Done():
			return
		case now := <-tick.C:
			items := k.due(now)
			if items == nil {
				return
			}
			ctx, cancel := context.WithTimeout(k.life, k.every)
			k.extend(ctx, items)
			cancel()
		}
	}
}

// due returns what to extend; nil, and run must end, if nothing is kept.
func (k *Keeper[K, V]) due(now time.Time) map[K]V {
	k.mu.Lock()
	defer k.mu.Unlock()
	maps.DeleteFunc(k.items, func(_ K, i item[V]) bool { return now.After(i.until) })
	if len(k.items) == 0 {
		k.running = false
		return nil
	}
	out := make(map[K]V, len(k.items))
	for key, i := range k.items {
		out[key] = i.value
	}
	return out
}
