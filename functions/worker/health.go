package worker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
)

// The parts of a worker's life.
const (
	working  = "is working"
	draining = "is draining"
	ended    = "has ended"
)

// health is what a worker's loops have noted.
type health struct {
	mu     sync.Mutex
	part   string           // "": Run was not called
	failed map[string]error // by loop; the last round of that loop failed
}

func (h *health) set(part string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.part = part
}

// note notes how a round of a loop ended.
func (h *health) note(loop string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err == nil || errors.Is(err, context.Canceled) {
		delete(h.failed, loop)
		return
	}
	if h.failed == nil {
		h.failed = map[string]error{}
	}
	h.failed[loop] = err
}

// Healthy reports whether the worker takes jobs and sweeps: nil, or the reason. It is for probes: the
// reason names each queue that cannot be received from, and a sweep that failed. A worker that
// drains is not healthy, so that nothing waits for it.
func (w *Worker) Healthy() error {
	w.health.mu.Lock()
	defer w.health.mu.Unlock()
	switch w.health.part {
	case "":
		return errors.New("worker: Run was not called")
	case draining, ended:
		return fmt.Errorf("worker %s", w.health.part)
	}
	var errs []error
	for _, loop := range slices.Sorted(maps.Keys(w.health.failed)) {
		errs = append(errs, fmt.Errorf("worker: %s: %w", loop, w.health.failed[loop]))
	}
	for _, p := range w.queues {
		errs = append(errs, p.recv.Err())
	}
	if w.submit != nil {
		errs = append(errs, w.submit.Err())
	}
	return errors.Join(errs...)
}
