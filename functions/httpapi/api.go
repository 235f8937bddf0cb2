package httpapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/piecework/piecework/functions"
)

// Options configures an API. The zero value of each field means its default.
type Options struct {
	// Tokens are who may use the API. Default: none, and then only callers on this machine may use it.
	Tokens []Token
	// Authenticate, if not nil, says who sent a request that bears no token, where the platform has found that out: it
	// returns a name for the log and a role. The caller sees the text of an error: it should say what to do. The API is
	// then not only for this machine, also without tokens.
	Authenticate func(r *http.Request) (who string, role Role, err error)
	// Origins are the web pages of other origins that may use the API from a browser (CORS), as browsers send them:
	// https://console.example.com. Their requests need a token as all others do. Default: none.
	Origins []string
	// MaxBody is the longest request body in bytes. Default 8 MiB.
	MaxBody int64
	// Timeout is how long a request may take, a wait and the sending of an output excepted: an output may not stand
	// still for longer. Default 45 seconds, which is more than the store's patience.
	Timeout time.Duration
	// WaitMax bounds the timeout of a wait. Default 60 seconds.
	WaitMax time.Duration
	// MaxWaits is how many waits may hang at once. Those beyond it are answered at once with the job as it is. Default 1,000.
	MaxWaits int
	// MaxLists is how many lists may be made and sent at once. Eight times as many requests may wait for their turn, for
	// half of Timeout; those beyond it get 503. Each takes some 20 MB of memory at most. Default 8.
	MaxLists int
	// Version is what the health route says the program's version is.
	Version string
	// NoSweep leaves out the route that sweeps, where something else may call Runtime.Sweep only.
	NoSweep bool
	// Log gets a line for each request. Default slog.Default().
	Log *slog.Logger
}

func (o *Options) withDefaults() (Options, error) {
	var opts Options
	if o != nil {
		opts = *o
	}
	if opts.MaxBody < 0 || opts.Timeout < 0 || opts.WaitMax < 0 || opts.MaxWaits < 0 || opts.MaxLists < 0 {
		return opts, fmt.Errorf("%w: httpapi.Options: MaxBody, Timeout, WaitMax, MaxWaits and MaxLists cannot be negative", functions.ErrConfig)
	}
	if opts.MaxBody == 0 {
		opts.MaxBody = 8 << 20
	}
	if opts.Timeout == 0 {
		opts.Timeout = 45 * time.Second
	}
	if opts.WaitMax == 0 {
		opts.WaitMax = time.Minute
	}
	opts.MaxWaits, opts.MaxLists = cmp.Or(opts.MaxWaits, 1000), cmp.Or(opts.MaxLists, 8)
	if opts.Log == nil {
		opts.Log = slog.Default()
	}
	return opts, nil
}

// API serves a runtime over HTTP. It is an http.Handler.
type API struct {
	rt     *functions.Runtime
	client *functions.Client
	opts   Options
	tokens []secret
	origin *http.CrossOriginProtection
	waits  gate // for the waits that hang
	lists  gate // for the lists that are made and sent

	mux     *http.ServeMux
	huma    huma.API
	started time.Time

	stopping context.Context // ends when waits should end, because the server shuts down
	stop     context.CancelFunc
}

var _ http.Handler = (*API)(nil)

// New returns an API over the runtime. It refuses options that cannot work, with functions.ErrConfig.
func New(rt *functions.Runtime, o *Options) (*API, error) {
	if rt == nil {
		return nil, fmt.Errorf("%w: httpapi.New needs a runtime", functions.ErrConfig)
	}
	opts, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	tokens, err := checkTokens(opts.Tokens)
	if err != nil {
		return nil, err
	}
	origin := http.NewCrossOriginProtection()
	if err := CheckOrigins(opts.Origins); err != nil {
		return nil, fmt.Errorf("%w: httpapi.Options: %w", functions.ErrConfig, err)
	}
	for _, o := range opts.Origins {
		if err := origin.AddTrustedOrigin(o); err != nil {
			return nil, fmt.Errorf("%w: httpapi.Options: %w", functions.ErrConfig, err)
		}
	}
	a := &API{
		rt: rt, client: rt.Client(), opts: opts, tokens: tokens, origin: origin,
		waits: newGate(opts.MaxWaits, 0), lists: newGate(opts.MaxLists, 8*opts.MaxLists),
		mux: http.NewServeMux(), started: rt.Config().Now(),
	}
	a.stopping, a.stop = context.WithCancel(context.Background())
	a.huma = humago.New(a.mux, a.config())
	a.huma.UseMiddleware(a.checkQuery)
	a.routes()
	a.describe()
	return a, nil
}

// routes registers all routes.
func (a *API) routes() {
	a.submitRoutes()
	a.jobRoutes()
	a.waitRoute()
	a.outputRoutes()
	a.operateRoutes()
}

// open reports whether the API works without authentication.
func (a *API) open() bool { return len(a.tokens) == 0 && a.opts.Authenticate == nil }

// EndWaits has waits answered with what there is, those that hang and those to come, so that who waits asks another
// server. Serve does that when it is told to stop; it is for programs that have a server of their own.
func (a *API) EndWaits() { a.stop() }

// errStopping is why a wait ended before its time.
var errStopping = errors.New("server shuts down")
