package embedded_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gocloud.dev/pubsub"
	"gocloud.dev/pubsub/mempubsub"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/worker"
	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/infra/drivers/files"
	"github.com/piecework/piecework/infra/drivers/mem"
	"github.com/piecework/piecework/infra/drivers/sql"
	"github.com/piecework/piecework/infra/embedded"
	"github.com/piecework/piecework/tests/printed"
)

// broker is a broker that can be away.
type broker struct {
	away  atomic.Bool
	topic *pubsub.Topic
}

func (b *broker) register(s *drivers.Set) {
	b.topic = mempubsub.NewTopic()
	open := func() error {
		if b.away.Load() {
			return errors.New("no route to broker-7.internal")
		}
		return nil
	}
	s.AddQueue("test", func(context.Context, *drivers.Address, *slog.Logger) (drivers.Queue, error) {
		return drivers.NewQueue(drivers.Broker{
			Topic: func(context.Context, string) (*pubsub.Topic, error) { return b.topic, open() },
			Subscription: func(context.Context, string) (*pubsub.Subscription, error) {
				return mempubsub.NewSubscription(b.topic, time.Minute), open()
			},
		}, slog.New(slog.DiscardHandler)), nil
	})
}

func registry() *functions.Registry {
	jobs := functions.NewRegistry()
	functions.Handle(jobs, "double", func(_ context.Context, job *functions.Job[int]) (int, error) { return 2 * job.Args, nil })
	return jobs
}

func config() embedded.Config {
	c := embedded.Config{Log: slog.New(slog.DiscardHandler)}
	c.Store, c.Queues, c.Blobs = "mem://", "mem://", "mem://"
	return c
}

func probe(t *testing.T, sys *embedded.System, status int, want string) {
	t.Helper()
	w := httptest.NewRecorder()
	sys.Health().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
	if got := strings.TrimSpace(w.Body.String()); w.Code != status || got != want {
		t.Errorf("health is %d %s, want %d %s", w.Code, got, status, want)
	}
}

// A process that only submits has no worker to check. A broker that is away fails the check of the
// queue, and says why in the log only, once.
func TestHealthOfAProcessThatSubmits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b broker
		var log printed.Text
		cfg := config()
		cfg.Queues, cfg.Log = "test://{queue}", slog.New(slog.NewTextHandler(&log, nil))
		b.away.Store(true)
		sys, err := embedded.Open(t.Context(), registry(), drivers.New(mem.Register, b.register), cfg)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			probe(t, sys, 503, `{"status":"failed","checks":{"queue":"failed","store":"ok"}}`)
		}
		if n := strings.Count(log.String(), "broker-7.internal"); n != 1 {
			t.Errorf("the log has the reason %d times, want once:\n%s", n, log.String())
		}
		b.away.Store(false)
		time.Sleep(time.Minute) // virtual time
		probe(t, sys, 200, `{"status":"ok","checks":{"queue":"ok","store":"ok"}}`)
		if !log.HasLine("health check passes again", "check=queue") {
			t.Errorf("the log does not say that the queue is back:\n%s", log.String())
		}
		if err := sys.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// While a worker runs, it is one of the checks: a queue that it cannot receive from fails it, and so
// does draining.
func TestHealthOfAWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b broker
		cfg := config()
		cfg.Queues = "test://{queue}"
		sys, err := embedded.Open(t.Context(), registry(), drivers.New(mem.Register, b.register), cfg)
		if err != nil {
			t.Fatal(err)
		}
		probe(t, sys, 200, `{"status":"ok","checks":{"queue":"ok","store":"ok"}}`)
		b.away.Store(true)
		ctx, stop := context.WithCancel(t.Context())
		ran := make(chan error, 1)
		go func() { ran <- sys.Run(ctx) }()
		synctest.Wait()
		probe(t, sys, 503, `{"status":"failed","checks":{"queue":"ok","store":"ok","worker":"failed"}}`)
		b.away.Store(false)
		time.Sleep(time.Minute) // virtual time
		probe(t, sys, 200, `{"status":"ok","checks":{"queue":"ok","store":"ok","worker":"ok"}}`)
		stop()
		if err := <-ran; err != nil {
			t.Error(err)
		}
		probe(t, sys, 503, `{"status":"failed","checks":{"queue":"ok","store":"ok","worker":"failed"}}`)
		if err := sys.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// The API works below a prefix of the program's own server.
func TestTheAPIBelowAPrefix(t *testing.T) {
	sys, err := embedded.Open(t.Context(), registry(), drivers.New(mem.Register), config())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := sys.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	api, err := sys.API(nil)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.StripPrefix("/jobs", api))
	defer server.Close()
	res, err := http.Get(server.URL + "/jobs/v1/kinds")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if body, err := io.ReadAll(res.Body); err != nil || res.StatusCode != http.StatusOK || !strings.Contains(string(body), "double") {
		t.Errorf("kinds: status %d, %s, error %v; want 200 and the kind double", res.StatusCode, body, err)
	}
}

// A database is enough: it has the queues too, and the blobs are beside it.
func TestAStoreIsEnough(t *testing.T) {
	var cfg embedded.Config
	cfg.Store, cfg.Log = "sqlite://"+filepath.ToSlash(t.TempDir())+"/jobs.db", slog.New(slog.DiscardHandler)
	sys, err := embedded.Open(t.Context(), registry(), drivers.New(sql.Register, files.Register), cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- sys.Run(ctx) }()
	r, err := sys.Client().Submit(ctx, "double", 21)
	if err != nil {
		t.Fatal(err)
	}
	if i, err := sys.Client().Wait(ctx, r.ID); err != nil || string(i.Result) != "42" {
		t.Errorf("result %s, error %v, want 42", i.Result, err)
	}
	probe(t, sys, 200, `{"status":"ok","checks":{"queue":"ok","store":"ok","worker":"ok"}}`)
	stop()
	if err := errors.Join(<-ran, sys.Close(t.Context())); err != nil {
		t.Error(err)
	}
}

func TestWhatCannotWorkIsRefused(t *testing.T) {
	broken := functions.NewRegistry()
	functions.Handle(broken, "Double", func(context.Context, *functions.Job[int]) (int, error) { return 0, nil })
	for name, c := range map[string]struct {
		jobs   *functions.Registry
		set    *drivers.Set
		adjust func(*embedded.Config)
		want   string
	}{
		"no registry": {nil, drivers.New(mem.Register), func(*embedded.Config) {}, "needs a registry"},
		"bad kind":    {broken, drivers.New(mem.Register), func(*embedded.Config) {}, `"Double"`},
		"no driver":   {registry(), drivers.New(mem.Register), func(c *embedded.Config) { c.Store = "dynamodb://jobs" }, "aws.Register"},
		"worker": {registry(), drivers.New(mem.Register), func(c *embedded.Config) {
			c.Worker = worker.Options{PerQueue: map[string]int{"report": 1}}
		}, `"report"`},
		"runtime": {registry(), drivers.New(mem.Register), func(c *embedded.Config) { c.Margin = -1 }, "cannot be negative"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config()
			c.adjust(&cfg)
			_, err := embedded.Open(t.Context(), c.jobs, c.set, cfg)
			if !errors.Is(err, functions.ErrConfig) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want an ErrConfig that says %s", err, c.want)
			}
		})
	}
}
