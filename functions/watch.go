package functions

import "sync"

// watch tells waiters in this process that a job may have ended. It is an accelerator: who waits also reads.
type watch struct {
	mu      sync.Mutex
	waiters map[string]map[chan struct{}]bool
}

func newWatch() *watch { return &watch{waiters: map[string]map[chan struct{}]bool{}} }

// on returns a channel that gets a value when the job is touched, and the function that ends it.
func (w *watch) on(id string) (touched <-chan struct{}, stop func()) {
	ch := make(chan struct{}, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.waiters[id] == nil {
		w.waiters[id] = map[chan struct{}]bool{}
	}
	w.waiters[id][ch] = true
	return ch, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if delete(w.waiters[id], ch); len(w.waiters[id]) == 0 {
			delete(w.waiters, id)
		}
	}
}

// touch wakes the waiters of a job.
func (w *watch) touch(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for ch := range w.waiters[id] {
		select {
		case ch <- struct{}{}:
		default: // it has one waiting
		}
	}
}
