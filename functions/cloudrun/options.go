package cloudrun

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/piecework/piecework/functions"
)

// Options configures a Server. The zero value of each field means its default.
type Options struct {
	// Callers says whose pushes, events and sweeps are taken. Default: only requests of this
	// machine.
	Callers Callers
	// API answers all other paths: an *httpapi.API, which has tokens of its own. Default: none.
	API http.Handler
	// Concurrency is how many jobs run at once in this process, and how many submissions are
	// handled at once. Messages beyond it are refused with 429, and come again. Default 100. The
	// platform's own limit should not be higher.
	Concurrency int
	// Timeout is how long a request may take. A job that is longer is told before, saves its
	// checkpoint and goes on in another request. Default 5 minutes, as Cloud Run's. It should be
	// less than the platform's; the package comment says why, and what Pub/Sub's ack deadline has
	// to do with it. From MinTimeout to MaxTimeout.
	Timeout time.Duration
	// SweepFor is how long one call of /sweep goes on at most. Default 50 seconds, or the half of
	// Timeout if that is less.
	SweepFor time.Duration
	// MaxBody is the longest request in bytes. Default 16 MiB, which the longest message of Pub/Sub
	// does not reach.
	MaxBody int64
	// DrainGrace is how long running jobs have to finish once the server is told to stop; then they
	// are cancelled, and have 3 seconds to be handed back. Default 5 seconds, of the 10 that Cloud
	// Run gives; negative: none.
	DrainGrace time.Duration
	// Log gets what an operator should know. Default: the runtime's.
	Log *slog.Logger
}

// Callers says who may push, and how they prove who they are.
type Callers struct {
	// Accounts are the e-mail addresses of the service accounts whose OpenID Connect tokens are
	// taken.
	Accounts []string
	// Audiences are the audiences that tokens may have: the push endpoints, or what the
	// subscriptions set instead. Required with Accounts.
	Audiences []string
	// Platform says that something before this server checks callers, as Cloud Run's IAM does
	// unless it allows unauthenticated calls. Not together with Accounts: Cloud Run removes the
	// signature of tokens that it has checked.
	Platform bool

	// Issuer makes the tokens. Default https://accounts.google.com.
	Issuer string
	// Keys is the URL of the issuer's keys, a JSON Web Key Set. Default: Google's.
	Keys string
	// Client fetches the keys. Default: one with a timeout of 10 seconds.
	Client *http.Client
	// Leeway is how far the issuer's clock may be off. Default 1 minute; negative: none.
	Leeway time.Duration
}

const (
	googleIssuer = "https://accounts.google.com"
	googleKeys   = "https://www.googleapis.com/oauth2/v3/certs"
)

// handBack is how long cancelled jobs have to be handed back.
const handBack = 3 * time.Second

// MinTimeout is the shortest Timeout of a runtime with that functions.Config.Margin. With less, a
// job would be told to stop as soon as it starts.
func MinTimeout(margin time.Duration) time.Duration { return 3 * margin }

// MaxTimeout is the longest Timeout that Cloud Run has.
const MaxTimeout = time.Hour

func (o *Options) withDefaults(rt *functions.Runtime) (Options, error) {
	var opts Options
	if o != nil {
		opts = *o
	}
	if opts.Concurrency == 0 {
		opts.Concurrency = 100
	}
	set := func(d *time.Duration, def time.Duration) {
		if *d == 0 {
			*d = def
		}
	}
	set(&opts.Timeout, 5*time.Minute)
	set(&opts.SweepFor, min(50*time.Second, opts.Timeout/2))
	set(&opts.DrainGrace, 5*time.Second)
	if opts.MaxBody == 0 {
		opts.MaxBody = 16 << 20
	}
	if opts.Log == nil {
		opts.Log = rt.Config().Log
	}
	opts.Callers = opts.Callers.withDefaults()
	if err := opts.check(rt); err != nil {
		return opts, fmt.Errorf("%w: cloudrun.Options: %w", functions.ErrConfig, err)
	}
	return opts, nil
}

// check returns what cannot work.
func (o Options) check(rt *functions.Runtime) error {
	errs := []error{o.Callers.Check()}
	if o.Concurrency < 0 || o.MaxBody < 0 || o.SweepFor < 0 {
		errs = append(errs, errors.New("the options Concurrency, MaxBody and SweepFor cannot be negative"))
	}
	if least := MinTimeout(rt.Config().Margin); o.Timeout < least || o.Timeout > MaxTimeout {
		errs = append(errs, fmt.Errorf("the option Timeout is %v: want %v to %v", o.Timeout, least, MaxTimeout))
	}
	return errors.Join(errs...)
}

func (c Callers) withDefaults() Callers {
	if c.Issuer == "" {
		c.Issuer = googleIssuer
	}
	if c.Keys == "" {
		c.Keys = googleKeys
	}
	if c.Client == nil {
		c.Client = &http.Client{Timeout: fetchTime}
	}
	if c.Leeway == 0 {
		c.Leeway = time.Minute
	}
	c.Leeway = max(c.Leeway, 0)
	return c
}

// local reports whether callers are not checked, so that only this machine may call.
func (c Callers) local() bool { return !c.Platform && len(c.Accounts) == 0 }

// CheckAddress says what is wrong with listening on an address with these callers, as Server.Listen
// does.
func (c Callers) CheckAddress(addr string) error { return withoutAccounts.Address(addr, c.local()) }

// Check says what is wrong with them, as New does.
func (c Callers) Check() error {
	var errs []error
	for _, a := range c.Accounts {
		if name, domain, ok := strings.Cut(a, "@"); !ok || name == "" || domain == "" || strings.ContainsAny(a, " ,") {
			errs = append(errs, fmt.Errorf("account %q: want the e-mail address of a service account, as in push@my-project.iam.gserviceaccount.com", a))
		}
	}
	switch {
	case len(c.Accounts) > 0 && len(c.Audiences) == 0:
		errs = append(errs, errors.New("there are accounts, but no audience: without one, a token for another server would be valid here; "+
			"set the audience of the push subscriptions"))
	case len(c.Accounts) == 0 && len(c.Audiences) > 0:
		errs = append(errs, errors.New("there is an audience, but no account: anybody can get a token of Google for any audience; set the accounts that may call"))
	}
	if c.Platform && len(c.Accounts) > 0 {
		errs = append(errs, errors.New("the options Platform and Accounts are mutually exclusive: the platform removes the signature of tokens that it has checked"))
	}
	return errors.Join(errs...)
}
