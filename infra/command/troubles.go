package command

import (
	"context"
	"log/slog"
	"sync"
)

// troubles keeps what the queues log, by lane: a receiver waits failures out and only logs them.
type troubles struct {
	mu   sync.Mutex
	last map[string]error
}

func newTroubles() *troubles { return &troubles{last: map[string]error{}} }

func (t *troubles) logger() *slog.Logger { return slog.New(t) }

// of is the last trouble of a lane, or nil.
func (t *troubles) of(lane string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.last[lane]
}

// Enabled implements slog.Handler.
func (t *troubles) Enabled(context.Context, slog.Level) bool { return true }

// Handle implements slog.Handler.
func (t *troubles) Handle(_ context.Context, r slog.Record) error {
	var lane string
	var err error
	r.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "queue":
			lane = a.Value.String()
		case "error":
			err, _ = a.Value.Any().(error) // of another type it is no error
		}
		return true
	})
	if err != nil {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.last[lane] = err
	}
	return nil
}

// WithAttrs implements slog.Handler.
func (t *troubles) WithAttrs([]slog.Attr) slog.Handler { return t }

// WithGroup implements slog.Handler.
func (t *troubles) WithGroup(string) slog.Handler { return t }
