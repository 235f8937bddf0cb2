// Package keep extends the time for which a broker hides received messages from other receivers,
// until they are acked or nacked. Most brokers deliver a message again after a fixed time, and
// gocloud's drivers do not extend it. The drivers below pubsubq use it; so does package
// infra/drivers/aws.
package keep

import (
	"context"
	"maps"
	"sync"
	"time"
)

// Keeper extends the messages that were added and not yet forgotten. It runs a goroutine only while
// it holds something. All methods may be called concurrently.
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
	until time.Time // it is forgotten then
}

// New returns a Keeper that calls extend after each interval of length every, with all items that
// it holds. An item is forgotten when hold has passed; with a hold of 0 or less nothing is held.
// Extend may call Forget, and must return when its ctx ends.
func New[K comparable, V any](every, hold time.Duration, extend func(ctx context.Context, items map[K]V)) *Keeper[K, V] {
	life, stop := context.WithCancel(context.Background()) //nolint:gosec // Close calls stop
	return &Keeper[K, V]{every: every, hold: hold, extend: extend, items: map[K]item[V]{}, life: life, stop: stop}
}

// Add begins to extend an item. After Close it does nothing.
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

// Forget stops extending an item. A key that is not held is no error.
func (k *Keeper[K, V]) Forget(key K) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.items, key)
}

// Close forgets all items, and waits until extend has returned.
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

// due returns the items to extend. If there are none it returns nil, and run must return.
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
