package store

import (
	"context"
	"errors"
	"testing"

	"gocloud.dev/docstore/driver"

	"github.com/piecework/piecework/store/relay"
)

// The index of a list can be read and the records cannot: that is an error, and no list without
// them, whose cursor would lead past them.
func TestAListWhoseRecordsCannotBeReadIsAnError(t *testing.T) {
	onEach(t, func(t *testing.T, l *lab) {
		l.fill(t, 30)
		filter := Filter{Kinds: []string{"a", "b", "c"}}

		l.actions = func(_ context.Context, acts []*driver.Action, _ relay.Run) driver.ActionListError {
			return allFail(acts, errStorm)
		}
		page, err := l.List(t.Context(), filter, 10, "")
		if !errors.Is(err, ErrUnavailable) {
			t.Errorf("store away: error %v, %d jobs, next %q, want %v", err, len(page.Jobs), page.Next, ErrUnavailable)
		}

		ctx, cancel := context.WithCancel(t.Context())
		l.actions = func(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError {
			cancel()
			return next(ctx, acts)
		}
		page, err = l.List(ctx, filter, 10, "")
		if !errors.Is(err, context.Canceled) && len(page.Jobs) < 10 {
			t.Errorf("context ended: error %v, %d jobs, next %q, want %v or all jobs", err, len(page.Jobs), page.Next, context.Canceled)
		}
	})
}
