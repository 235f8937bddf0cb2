package drivers

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/store"
)

// Config says where a deployment keeps its state. All processes of one deployment must have the same.
type Config struct {
	Store  string // URL of the store
	Queues string // template of the URLs of the queues, with "{queue}"
	Blobs  string // URL of the bucket

	// Timing configures the store. A zero field means store's default; Native is set from what the queue can do.
	Timing store.Timing
	// Margin is functions.Config's.
	Margin time.Duration
}

// variable is a piece of configuration.
type variable struct {
	name, def, doc string
	set            func(c *Config, value string) error
}

// variables are all that there are, with their defaults. What has no default must be given.
var variables = []variable{
	{"PIECEWORK_STORE", "", "URL of the store, such as dynamodb://TABLE?region=REGION or postgres://USER@HOST/DATABASE", func(c *Config, v string) error { c.Store = v; return nil }},
	{"PIECEWORK_QUEUES", "", "URL of the queues, with {queue} for the lane, such as jetstream://HOST:4222/piecework.{queue}", func(c *Config, v string) error { c.Queues = v; return nil }},
	{"PIECEWORK_BLOBS", "", "URL of the bucket, such as s3://BUCKET?region=REGION or file:///PATH", func(c *Config, v string) error { c.Blobs = v; return nil }},
	{"PIECEWORK_LEASE", "1m", "how long a claim holds a job without a heartbeat", duration(func(c *Config) *time.Duration { return &c.Timing.Lease })},
	{"PIECEWORK_GRACE", "2m", "how long a message may take before sweep sends another", duration(func(c *Config) *time.Duration { return &c.Timing.Grace })},
	{"PIECEWORK_MAX_GRACE", "1h", "the longest that this grows to by doubling", duration(func(c *Config) *time.Duration { return &c.Timing.MaxGrace })},
	{"PIECEWORK_MARGIN", "5s", "how long before the platform ends an invocation its jobs are told to end", duration(func(c *Config) *time.Duration { return &c.Margin })},
	{"PIECEWORK_SKEW", "2s", "how far the clocks of the processes may differ", duration(func(c *Config) *time.Duration { return &c.Timing.Skew })},
}

// Variable is an environment variable that FromEnv reads. One without a default must be set.
type Variable struct{ Name, Default, Doc string }

// Variables are those that FromEnv reads, for the help of programs.
func Variables() []Variable {
	all := make([]Variable, len(variables))
	for i, v := range variables {
		all[i] = Variable{v.name, v.def, v.doc}
	}
	return all
}

// others are variables with our prefix that are for other programs: the command line tool, the adapters and the tests.
var others = []string{
	"PIECEWORK_URL", "PIECEWORK_TOKEN", "PIECEWORK_ADDR", "PIECEWORK_DIR", "PIECEWORK_CONCURRENCY", "PIECEWORK_TOKENS",
	"PIECEWORK_TOKEN_FILE", "PIECEWORK_LOG", "PIECEWORK_SUBMIT", "PIECEWORK_PROBE_QUEUE", "PIECEWORK_FUNCTION",
	"PIECEWORK_FUNCTION_TIMEOUT", "PIECEWORK_STREAM", "PIECEWORK_PUSH_AUDIENCE", "PIECEWORK_PUSH_ACCOUNTS",
}

// Prefixes of variables, ours and those that are the tests'.
const (
	envPrefix     = "PIECEWORK_"
	testPrefix    = envPrefix + "TEST_"
	requirePrefix = envPrefix + "REQUIRE_"
)

func duration(field func(*Config) *time.Duration) func(*Config, string) error {
	return func(c *Config, v string) error {
		d, err := time.ParseDuration(v)
		if err != nil || d <= 0 {
			return errors.New("want a duration such as 90s")
		}
		*field(c) = d
		return nil
	}
}

// FromEnv reads the configuration from an environment, which is os.Environ() or like it: PIECEWORK_STORE,
// PIECEWORK_QUEUES, PIECEWORK_BLOBS, and the durations PIECEWORK_LEASE (1m), PIECEWORK_GRACE (2m), PIECEWORK_MAX_GRACE
// (1h), PIECEWORK_SKEW (2s) and PIECEWORK_MARGIN (5s). An unset or empty variable has its default; one that begins with
// PIECEWORK_ and is unknown is refused, because a misspelt one would be ignored in silence. Also names whatever else the
// program reads itself.
func FromEnv(environ []string, also ...string) (Config, error) {
	env := map[string]string{}
	for _, line := range environ {
		if name, value, ok := strings.Cut(line, "="); ok && strings.HasPrefix(name, envPrefix) {
			env[name] = value
		}
	}
	var c Config
	var errs []error
	known := slices.Concat(others, also)
	for _, v := range variables {
		known = append(known, v.name)
		value := env[v.name]
		if value == "" {
			value = v.def
		}
		if value == "" {
			errs = append(errs, fmt.Errorf("%s is not set: it is the %s", v.name, v.doc))
			continue
		}
		if err := v.set(&c, value); err != nil {
			errs = append(errs, fmt.Errorf("%s=%q: %w", v.name, shorten(value), err))
		}
	}
	var wrong []string
	for name := range env {
		if !slices.Contains(known, name) && !strings.HasPrefix(name, testPrefix) && !strings.HasPrefix(name, requirePrefix) {
			wrong = append(wrong, functions.UnknownName("environment variable", name, known))
		}
	}
	slices.Sort(wrong)
	for _, text := range wrong {
		errs = append(errs, errors.New(text))
	}
	if err := errors.Join(errs...); err != nil {
		return Config{}, fmt.Errorf("%w: %w", functions.ErrConfig, err)
	}
	return c, nil
}
