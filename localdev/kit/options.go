package kit

import (
	"log/slog"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/localdev"
	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/store/relay"
)

// Option is an option of New and Torture.
type Option func(*options)

type options struct {
	start  time.Time
	wall   bool
	seed   uint64
	config functions.Config
	store  store.Options
	hooks  relay.Hooks
	points int
	only   string
}

func newOptions(opts []Option) options {
	o := options{start: time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC), seed: 1, points: 200}
	o.store.Timing = localdev.Timing()
	for _, f := range opts {
		f(&o)
	}
	return o
}

// StartAt sets the kit's clock at the beginning. Default: 1 January 2026, 12:00 UTC.
func StartAt(t time.Time) Option { return func(o *options) { o.start = t } }

// WallClock makes time.Now the kit's clock. In a bubble of testing/synctest that is virtual time:
// handlers may sleep, and time limits are kept. Outside a bubble, Advance and Wait really wait.
func WallClock() Option { return func(o *options) { o.wall = true } }

// Log sets the log. Default: none.
func Log(log *slog.Logger) Option { return func(o *options) { o.config.Log = log } }

// Seed seeds ids and jitter. Default 1.
func Seed(seed uint64) Option { return func(o *options) { o.seed = seed } }

// Config configures the runtime. Its clock, randomness, log and worker's name default to the kit's.
func Config(cfg functions.Config) Option {
	return func(o *options) {
		if cfg.Log == nil {
			cfg.Log = o.config.Log
		}
		o.config = cfg
	}
}

// Store configures the store. Its clock, randomness and pauses default to the kit's, but its timing
// to the store's own instead of [localdev.Timing].
func Store(opts store.Options) Option { return func(o *options) { o.store = opts } }

// Hooks puts hooks between the store and its collection, to count, delay or fail what it does.
func Hooks(hooks relay.Hooks) Option { return func(o *options) { o.hooks = hooks } }

// Points is how many writes of the undisturbed run Torture disturbs at most, taken evenly. Default
// 200.
func Points(n int) Option { return func(o *options) { o.points = n } }

// Only makes Torture try one disturbance, by the name that it reported: to look into a difference.
func Only(disturbance string) Option { return func(o *options) { o.only = disturbance } }
