package program_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/piecework/piecework/infra/program"
)

// Who reads a log wants "1.5s" and not 1500000000, on every platform.
func TestDurationsInTheLogCanBeRead(t *testing.T) {
	for name, message := range map[string]string{"": `"msg":"done"`, "K_REVISION": `"message":"done"`} {
		w := newWorld(t)
		if name != "" {
			w.env[name] = "jobs-00001-abc"
		}
		var log buffer
		d, err := program.Open(t.Context(), w.environ(), &log, w.jobs, w.register...)
		if err != nil {
			t.Fatal(err)
		}
		d.Log.LogAttrs(t.Context(), slog.LevelInfo, "done", slog.Duration("took", 1500*time.Millisecond),
			slog.Group("of", slog.Any("lease", time.Minute)))
		if err := d.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
		want(t, log.String(), message, `"took":"1.5s"`, `"of":{"lease":"1m0s"}`)
	}
}
