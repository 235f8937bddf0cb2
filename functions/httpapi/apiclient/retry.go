package apiclient

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/piecework/piecework/functions/httpapi/wire"
)

// patiently asks again while the server says that it is not available, if that does no harm.
func (c *Client) patiently(ctx context.Context, again bool, ask func() error) error {
	if !again || c.opts.Patience < 0 {
		return ask()
	}
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval, wait.MaxElapsedTime = 100*time.Millisecond, 5*time.Second, c.opts.Patience
	wait.Reset()
	for {
		err := ask()
		var p *wire.Problem
		if !errors.As(err, &p) || p.Status != http.StatusServiceUnavailable {
			return err
		}
		pause := wait.NextBackOff()
		if pause == backoff.Stop {
			return err
		}
		if asked := time.Duration(p.RetryAfter) * time.Second; asked > pause && wait.GetElapsedTime()+asked < c.opts.Patience {
			pause = asked
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return err
		case <-timer.C:
		}
	}
}
