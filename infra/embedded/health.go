package embedded

import (
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"
)

// checkTime bounds the checks of one probe together.
const checkTime = 5 * time.Second

// The outcomes of a check.
const (
	passed = "ok"
	failed = "failed"
)

// health remembers which checks failed last, so that the log tells of changes only.
type health struct {
	mu   sync.Mutex
	last map[string]string
}

// report is what a probe is answered.
type report struct {
	Status string            `json:"status"`
	Checks map[string]string `json:"checks"`
}

// Health returns a handler for probes; see the package comment.
func (s *System) Health() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "this route takes GET", http.StatusMethodNotAllowed)
			return
		}
		answer, status := s.check(r.Context()), http.StatusOK
		if answer.Status != passed {
			status = http.StatusServiceUnavailable
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(answer) // the prober has left
	})
}

// check makes all checks at once. A prober that leaves does not make them fail.
func (s *System) check(ctx context.Context) report {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkTime)
	defer cancel()
	checks := map[string]func() error{
		"store": func() error { return s.Client().Healthy(ctx) },
		"queue": func() error { return s.opened.Queues.Sender().Check(ctx, s.queue) },
	}
	if s.ran.Load() {
		checks["worker"] = s.worker.Healthy
	}
	errs := make(map[string]error, len(checks))
	var mu sync.Mutex
	var wg sync.WaitGroup
	for name, check := range checks {
		wg.Go(func() {
			err := check()
			mu.Lock()
			defer mu.Unlock()
			errs[name] = err
		})
	}
	wg.Wait()
	answer := report{Status: passed, Checks: map[string]string{}}
	for name, err := range errs {
		if answer.Checks[name] = passed; err != nil {
			answer.Status, answer.Checks[name] = failed, failed
		}
	}
	s.logChanges(ctx, answer, errs)
	return answer
}

// logChanges logs the checks that passed at the last probe and fail now, and the other way round.
func (s *System) logChanges(ctx context.Context, now report, errs map[string]error) {
	s.health.mu.Lock()
	last := s.health.last
	s.health.last = now.Checks
	s.health.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(now.Checks)) {
		switch was, is := last[name], now.Checks[name]; {
		case is == failed && was != failed:
			s.log.LogAttrs(ctx, slog.LevelWarn, "health check fails", slog.String("check", name), slog.Any("error", errs[name]))
		case is == passed && was == failed:
			s.log.LogAttrs(ctx, slog.LevelInfo, "health check passes again", slog.String("check", name))
		}
	}
}
