package functions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/piecework/piecework/functions/internal/guard"
)

// Every call of the program's code goes through package guard. A handler has a goroutine of its own
// and the limits of its attempt. Other functions have Config.HookTimeout, retry functions
// retryTime.

// retryTime is how long a retry function may take. The store waits for the answer while it changes
// the record.
const retryTime = time.Second

// guarded calls f with a time limit. See guard.Within.
func guarded[T any](
	ctx context.Context, rt *Runtime, key string, limit time.Duration, f func(context.Context) (T, error),
) (T, error) {
	value, err := guard.Within(ctx, &rt.calls, key, limit, f)
	if errors.Is(err, guard.ErrLate) {
		rt.stats.CallsAbandoned.Add(1)
	}
	return value, err
}

// encode writes a value as JSON. A panic of its MarshalJSON is an error.
func encode(value any) (data []byte, err error) {
	err = guard.Inline(func() error {
		data, err = json.Marshal(value)
		return err
	})
	return data, err
}

// decode reads JSON into the value that a pointer leads to. A panic of its UnmarshalJSON is an
// error.
func decode(data []byte, into any) error {
	return guard.Inline(func() error { return json.Unmarshal(data, into) })
}

// misbehaved reports whether called code panicked, ended its goroutine or did not return in time.
func misbehaved(err error) bool {
	_, panicked := errors.AsType[*guard.Panic](err)
	return panicked || errors.Is(err, guard.ErrGoexit) || errors.Is(err, guard.ErrLate)
}

// troubleAttrs are the attributes of an error, with the stack if the error is a panic.
func troubleAttrs(err error) []slog.Attr {
	attrs := []slog.Attr{errAttr(err)}
	if stack := guard.StackOf(err); stack != "" {
		attrs = append(attrs, slog.String("stack", stack))
	}
	return attrs
}

// blame adds whose error it is. An error of code that misbehaved becomes ErrInvalid.
func blame(what string, err error) error {
	if misbehaved(err) {
		return fmt.Errorf("%w: %s: %w", ErrInvalid, what, err)
	}
	return err
}
