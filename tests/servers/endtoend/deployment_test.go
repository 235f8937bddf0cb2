package endtoend

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/infra/program"
)

// timing is what makes sweep notice within seconds what it would notice within minutes.
var timing = map[string]string{
	"PIECEWORK_LEASE": "3s", "PIECEWORK_GRACE": "4s", "PIECEWORK_MAX_GRACE": "16s", "PIECEWORK_SKEW": "200ms",
	"PIECEWORK_CONCURRENCY": "16",
}

// combination is a store, a queue and a bucket that run already.
type combination struct {
	store, queues, blobs string // as a user would write them

	// stopQueue and startQueue are the server of the queue.
	stopQueue  func()
	startQueue func(t *testing.T)
	// scan is the URL of the store for one who may read all of it; "" if that is store.
	scan string
}

// deployment is one run on a combination.
type deployment struct {
	t       *testing.T
	of      combination
	environ []string
	config  drivers.Config
	client  *functions.Client
	rt      *functions.Runtime
	ledger  Ledger
	crew    *crew

	seed uint64
	rnd  *rand.Rand
	jobs int
}

// run is the whole of a test.
func run(t *testing.T, c combination) {
	t.Helper()
	start := time.Now()
	d := deploy(t, c)
	ids := d.trouble()
	f := d.check(ids)
	d.crew.drainAll()
	d.checkStored()
	t.Logf("%s: %d jobs, %d attempts, %d lost, %d retried, %d continued, %d kills, %.0f s (seed %d)",
		strings.TrimPrefix(t.Name(), "Test"), d.jobs, f.attempts, f.lost, f.retried, f.continued, d.crew.kills, time.Since(start).Seconds(), d.seed)
}

// deploy builds the program, creates what the store needs, and opens the deployment for the test itself.
func deploy(t *testing.T, c combination) *deployment {
	t.Helper()
	dir := t.TempDir()
	d := &deployment{t: t, of: c, seed: uint64(time.Now().UnixNano()), ledger: OpenLedger(filepath.Join(dir, "ledger")), jobs: Jobs}
	if testing.Short() {
		d.jobs = ShortJobs
	}
	d.rnd = rand.New(rand.NewPCG(d.seed, 0))
	for _, line := range os.Environ() {
		if !strings.HasPrefix(line, "PIECEWORK_") {
			d.environ = append(d.environ, line)
		}
	}
	set := func(name, value string) { d.environ = append(d.environ, name+"="+value) }
	set("PIECEWORK_STORE", c.store)
	set("PIECEWORK_QUEUES", c.queues)
	set("PIECEWORK_BLOBS", c.blobs)
	set(LedgerVariable, d.ledger.path)
	for name, value := range timing {
		set(name, value)
	}
	bin := binary(t)
	d.crew = newCrew(t, bin, d.environ, filepath.Join(dir, "log"))
	d.crew.runToEnd("init")
	d.open()
	return d
}

// open opens the deployment as a program that submits jobs does.
func (d *deployment) open() {
	d.t.Helper()
	env, err := program.ReadEnvironment(d.environ)
	if err != nil {
		d.t.Fatal(err)
	}
	d.config = env.Config
	quiet := slog.New(slog.DiscardHandler) // that the queue is away is what the test is about
	set := drivers.New(Drivers()...)
	set.LogTo(quiet)
	backends, closeAll, err := set.Backends(d.t.Context(), d.config)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := closeAll(ctx); err != nil {
			d.t.Error(err)
		}
	})
	if d.rt, err = functions.New(NewRegistry(d.ledger), backends, functions.Config{Log: quiet}); err != nil {
		d.t.Fatal(err)
	}
	d.client = d.rt.Client()
}

// buildProgram builds the workers' program once for all tests.
var buildProgram = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "endtoend") // shared by all tests; TestMain removes it
	if err != nil {
		return "", err
	}
	name := filepath.Join(dir, "worker")
	if out, err := exec.Command("go", "build", "-o", name, "./worker").CombinedOutput(); err != nil {
		return name, fmt.Errorf("go build ./worker: %w\n%s", err, out)
	}
	return name, nil
})

func binary(t *testing.T) string {
	t.Helper()
	name, err := buildProgram()
	if err != nil {
		t.Fatal(err)
	}
	return name
}

func TestMain(m *testing.M) {
	status := m.Run()
	if name, err := buildProgram(); err == nil {
		_ = os.RemoveAll(filepath.Dir(name))
	}
	os.Exit(status)
}

// pause waits for real time to pass, which is what a process is killed after.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
