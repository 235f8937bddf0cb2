package functions

import (
	"context"
	"fmt"
	"math/bits"
	"time"

	"github.com/piecework/piecework/store"
)

// RetryPolicy says how long to wait between an attempt that failed and the next. The zero value is
// Exponential(1s, 10m).
type RetryPolicy struct {
	shape    string
	min, max time.Duration
}

// Defaults of a retry policy.
const (
	DefaultRetryMin = time.Second
	DefaultRetryMax = 10 * time.Minute
)

// Exponential waits a random time between zero and minDelay doubled with each failure, but never
// less than minDelay nor more than maxDelay: "full jitter" of the AWS Architecture Blog,
// "Exponential Backoff And Jitter" (2015), with a floor. It spreads the attempts of jobs that
// failed together. minDelay must be at least a millisecond.
func Exponential(minDelay, maxDelay time.Duration) RetryPolicy {
	return RetryPolicy{"exponential", minDelay, maxDelay}
}

// Linear waits step after the first failure, twice that after the second, and so on up to maxDelay.
// step must be at least a millisecond.
func Linear(step, maxDelay time.Duration) RetryPolicy { return RetryPolicy{"linear", step, maxDelay} }

// Constant waits the same time after each failure, a millisecond at least. Constant(0) tries again
// at once.
func Constant(d time.Duration) RetryPolicy { return RetryPolicy{"constant", d, d} }

// validate returns what cannot work.
func (p RetryPolicy) validate() error {
	if p.min < 0 || p.max < p.min {
		return fmt.Errorf("%w: retry policy: need 0 <= min <= max, have min %v and max %v", ErrInvalid, p.min, p.max)
	}
	if p.shape != "" && p.min < time.Millisecond && p != Constant(0) { // it would be stored as 0, and never grow
		return fmt.Errorf("%w: retry policy: the shortest wait is 1ms, have %v; Constant(0) tries again at once", ErrInvalid, p.min)
	}
	return nil
}

// stored is the policy's form in a record.
func (p RetryPolicy) stored() store.Backoff {
	if p.shape == "" {
		p = Exponential(DefaultRetryMin, DefaultRetryMax)
	}
	return store.Backoff{Shape: p.shape, Min: p.min.Milliseconds(), Max: p.max.Milliseconds()}
}

// retryDelay returns the wait before the next attempt, after one more failure. If the kind's own
// function fails, the default policy replaces it.
func (rt *Runtime) retryDelay(ctx context.Context, j store.Job, lastError string) time.Duration {
	failures := j.Errors + j.Timeouts + j.Lost + 1
	if k, err := rt.reg.kind(j.Kind); j.Policy.Backoff.Shape == "custom" && err == nil && k.settings.retryFunc != nil {
		d, err := guarded(context.WithoutCancel(ctx), rt, "", retryTime, func(context.Context) (time.Duration, error) {
			return k.settings.retryFunc(failures, lastError), nil
		})
		if err == nil {
			return max(d, 0)
		}
		rt.log.LogAttrs(ctx, levelError, "retry function failed; the default policy replaces it", append(identity(j), troubleAttrs(err)...)...)
	}
	return backoffDelay(j.Policy.Backoff, failures, rt.cfg.Rand())
}

// backoffDelay returns the wait after the given number of failures, at least one. rnd is uniform
// over uint64.
func backoffDelay(b store.Backoff, failures int, rnd uint64) time.Duration {
	low, high := millis(b.Min), millis(b.Max)
	if b.Shape == "custom" || b.Shape == "" && b.Min == 0 && b.Max == 0 {
		low, high = DefaultRetryMin, DefaultRetryMax
	}
	if b.Shape != "constant" && low == 0 {
		low = min(time.Millisecond, high) // of a record whose policy was cut to 0; doubled, 0 stays 0
	}
	failures = max(failures, 1)
	switch b.Shape {
	case "constant":
		return low
	case "linear":
		return multiply(low, uint64(failures), high)
	default:
		ceiling := high
		if failures < 63 {
			ceiling = multiply(low, 1<<failures, high)
		}
		if ceiling <= low {
			return low
		}
		return low + time.Duration(rnd%uint64(ceiling-low+1))
	}
}

// multiply is d*n, at most limit, also where the product overflows.
func multiply(d time.Duration, n uint64, limit time.Duration) time.Duration {
	hi, lo := bits.Mul64(uint64(d), n)
	if hi != 0 || lo > uint64(limit) {
		return limit
	}
	return time.Duration(lo)
}
