package cloudrun

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/localdev/kit"
	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/tests/servers/cloudrun/push"
	"github.com/piecework/piecework/tests/servers/endtoend"
)

const (
	instances = 3
	troubles  = 20 // how often an instance is killed or stopped
	shortTest = 4  // the same with -short
)

// every does something at intervals until the test, or the function that is returned, ends it.
func (c *cloud) every(d time.Duration, do func(ctx context.Context)) (stop func()) {
	c.t.Helper()
	ctx, cancel := context.WithCancel(c.t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		tick := time.NewTicker(d)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				do(ctx)
			}
		}
	})
	stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	c.t.Cleanup(stop)
	return stop
}

// schedule has one of the instances sweep every second.
func (c *cloud) schedule(sweeps *atomic.Int64) (stop func()) {
	c.t.Helper()
	return c.every(time.Second, func(ctx context.Context) {
		status, err := c.post(ctx, c.front.url(c.random())+"/sweep", clock, nil, map[string]string{"X-Cloudscheduler": "true"})
		if err == nil && status == http.StatusOK {
			sweeps.Add(1)
		}
	})
}

// subscribe has all queues pushed: two in envelopes by HTTP/1.1, one without by HTTP/2.
func (c *cloud) subscribe() (stop func()) {
	c.t.Helper()
	one := protocol(c.t, func(p *http.Protocols) { p.SetHTTP1(true) })
	two := protocol(c.t, func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) })
	work := push.Config{
		Client: one, AckDeadline: 4 * time.Second, MinBackoff: 100 * time.Millisecond, MaxBackoff: 3 * time.Second,
		MaxAttempts: 3, Outstanding: 24, Duplicates: 0.1, // fewer attempts than Pub/Sub allows, so that hints are lost
	}
	files, submit := work, work
	files.Client, files.Unwrapped, files.Outstanding = two, true, 12
	submit.MaxAttempts = 0 // what is lost there is lost
	stops := []func(){c.push("default", work), c.push("files", files), c.push(functions.SubmitQueue, submit)}
	return func() {
		for _, stop := range stops {
			stop()
		}
	}
}

// forge tries tokens that are not good, and fails the test when one is taken.
func (c *cloud) forge(refused *atomic.Int64) (stop func()) {
	c.t.Helper()
	forged, err := c.issuer.Forge(account, audience)
	if err != nil {
		c.t.Fatal(err)
	}
	body := []byte(`{"kind":"` + endtoend.Plain + `","args":{"number":999999}}`)
	return c.every(100*time.Millisecond, func(ctx context.Context) {
		f := forged[c.random()%uint64(len(forged))]
		path := []string{"/push/submit", "/push/execute", "/events", "/sweep"}[c.random()%4]
		status, err := send(ctx, c.front.url(c.random())+path, f.Token, body, nil)
		switch {
		case err != nil || status == http.StatusServiceUnavailable: // the instance is down, goes down, or comes up
		case status != f.Status:
			c.t.Errorf("%s with a token that is %s: status %d, want %d", path, f.Name, status, f.Status)
		default:
			refused.Add(1)
		}
	})
}

// trouble kills and stops instances at random moments, and starts them anew.
func (c *cloud) trouble(n int) {
	c.t.Helper()
	for range n {
		pause(c.t.Context(), time.Duration(300+c.random()%1500)*time.Millisecond)
		i := c.front.instances[c.random()%instances]
		if c.random()%2 == 0 {
			c.front.kill(i)
		} else {
			c.front.stop(i)
		}
		pause(c.t.Context(), time.Duration(c.random()%400)*time.Millisecond)
		c.front.start(i)
		c.front.await(i)
	}
}

// Instances of the server are killed and stopped while jobs are submitted, pushed and swept. No job is lost, each has one
// result, and nothing is left that breaks a rule.
func TestNothingIsLost(t *testing.T) {
	begin := time.Now()
	c := newCloud(t)
	jobs, n, longJobs := endtoend.Jobs, troubles, 6
	if testing.Short() {
		jobs, n, longJobs = endtoend.ShortJobs, shortTest, 2
	}
	c.front.grow(instances)
	var sweeps, refused atomic.Int64
	stopPushing, stopSweeping, stopForging := c.subscribe(), c.schedule(&sweeps), c.forge(&refused)
	const steps = 100
	long := c.submitLong(t.Context(), longJobs, steps)
	var submitting sync.WaitGroup
	submitting.Go(func() { c.submit(t.Context(), jobs, time.Duration(n)*1600*time.Millisecond) })
	c.trouble(n)
	submitting.Wait()
	t.Logf("%d jobs submitted in %.0f s, seed %d", jobs, time.Since(begin).Seconds(), c.seed)
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	c.quiet(ctx)
	f := c.check(ctx, c.find(ctx, jobs))
	for _, id := range long {
		f.add(c.checkLong(ctx, id, steps))
	}
	jobs += len(long)
	stopForging()
	stopSweeping()
	stopPushing()
	c.front.stopAll()
	c.checkStored(jobs)
	if dead := c.pushed[functions.SubmitQueue].Dead(); len(dead) > 0 {
		t.Errorf("%d submissions are dead letters", len(dead))
	}
	if f.lost == 0 && !testing.Short() || f.continued == 0 || sweeps.Load() == 0 || refused.Load() == 0 {
		t.Errorf("there was not trouble enough to learn from: %+v, %d sweeps, %d tokens refused", f, sweeps.Load(), refused.Load())
	}
	t.Logf("Cloud Run: %d jobs, none lost, one result each; %d attempts, %d lost, %d continued; %s; %d dead hints; "+
		"%d kills, %d stops (the slowest %.1f s), %d sweeps, %d bad tokens refused; %.0f s (seed %d)",
		jobs, f.attempts, f.lost, f.continued, c.figuresOf(), len(c.pushed["default"].Dead())+len(c.pushed["files"].Dead()),
		c.front.kills, c.front.stops, c.front.slowest.Seconds(), sweeps.Load(), refused.Load(), time.Since(begin).Seconds(), c.seed)
}

// quiet waits until all messages of the submit queue are acknowledged, so that what is not stored then is lost.
func (c *cloud) quiet(ctx context.Context) {
	c.t.Helper()
	f := &c.pushed[functions.SubmitQueue].Figures
	for f.Acks.Load() < f.Messages.Load()+f.Duplicates.Load() {
		if pause(ctx, 20*time.Millisecond); ctx.Err() != nil {
			c.t.Fatalf("%d messages of the submit queue, %d acknowledged", f.Messages.Load(), f.Acks.Load())
		}
	}
}

// Jobs that need longer than a request may take go on in others, whether their handlers look at the clock or not.
func TestAJobLongerThanTheTimeoutFinishes(t *testing.T) {
	c := newCloud(t)
	c.front.grow(1)
	c.push("default", push.Config{ // a request that takes longer than it may is cut off
		Client: http.DefaultClient, AckDeadline: timeout, MinBackoff: 100 * time.Millisecond, MaxBackoff: time.Second, Outstanding: 8,
	})
	const steps = 100 // 20 seconds
	ids := c.submitLong(t.Context(), 2, steps)
	for _, id := range ids {
		info := c.checkLong(t.Context(), id, steps)
		if len(info.Attempts) != 1 || info.Attempt != 1 {
			t.Errorf("it needed another attempt:\n%s", kit.History(info))
		}
	}
	f := &c.pushed["default"].Figures
	if late := f.Late.Load(); late > 0 {
		t.Errorf("%d requests took longer than %v", late, timeout)
	}
	t.Logf("longer than the timeout: %d requests for %d jobs, none cut off", f.Requests.Load(), len(ids))
}

// submitLong submits jobs that need longer than a request may take. Every second takes no notice of the time.
func (c *cloud) submitLong(ctx context.Context, jobs, steps int) []string {
	c.t.Helper()
	ids := make([]string, jobs)
	for n := range ids {
		receipt, err := c.client.Submit(ctx, Long, LongTask{Steps: steps, Deaf: n%2 == 1})
		if err != nil {
			c.t.Fatal(err)
		}
		ids[n] = receipt.ID
	}
	return ids
}

// checkLong waits for the end of a long job and looks at it.
func (c *cloud) checkLong(ctx context.Context, id string, steps int) functions.Info {
	t := c.t
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	info, err := c.client.Wait(ctx, id)
	if err != nil {
		t.Fatalf("got %v\n%s, want no error", err, kit.History(info))
	}
	done, err := functions.Kind[any, LongDone](info.Kind).Result(info)
	if err != nil || done.Steps != steps || done.Requests < 2 || info.Ended.Sub(info.Created) < timeout {
		t.Errorf("%v: %+v after %v\n%s", err, done, info.Ended.Sub(info.Created), kit.History(info))
	}
	ledger, err := c.ledger.Read()
	if err != nil {
		t.Fatal(err)
	}
	checkLedger(t, info, done.Run, ledger[id])
	return info
}

// Each token that is not good is refused on each route, and nothing runs.
func TestTokensThatAreNotGoodAreRefused(t *testing.T) {
	c := newCloud(t)
	c.front.grow(1)
	receipt, err := c.client.Submit(t.Context(), endtoend.Plain, endtoend.Task{Number: 1})
	if err != nil {
		t.Fatal(err)
	}
	hint, err := json.Marshal(map[string]string{"id": receipt.ID})
	if err != nil {
		t.Fatal(err)
	}
	forged, err := c.issuer.Forge(account, audience)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range forged {
		for path, body := range map[string][]byte{
			"/push/execute": hint, "/push/submit": []byte(`{"kind":"endtoend.plain"}`), "/events": []byte(`{}`), "/sweep": nil,
		} {
			status, err := send(t.Context(), c.front.url(0)+path, f.Token, body, nil)
			if err != nil || status != f.Status {
				t.Errorf("%s with a token that is %s: status %d, want %d: %v", path, f.Name, status, f.Status, err)
			}
		}
	}
	if status, err := send(t.Context(), c.front.url(0)+"/v1/jobs", "not-a-token-of-the-api", nil, nil); err != nil || status != http.StatusUnauthorized {
		t.Errorf("the API: status %d, %v", status, err)
	}
	page, err := c.client.List(t.Context(), functions.ListFilter{})
	if err != nil || len(page.Jobs) != 1 || page.Jobs[0].State != store.Queued {
		t.Errorf("got %+v, %v, want no error && len(page.Jobs) == 1 && page.Jobs[0].State == store.Queued", page.Jobs, err)
	}
	if parked, _, err := c.client.Parked(t.Context(), 10, ""); err != nil || len(parked) > 0 {
		t.Errorf("c.client.Parked: got %+v, %v, want no error and no messages", parked, err)
	}
	if _, err := c.ledger.Read(); err == nil {
		t.Error("something ran")
	}
	if status, err := c.post(t.Context(), c.front.url(0)+"/push/execute", account, hint, nil); err != nil || status != http.StatusNoContent {
		t.Errorf("with a good token: status %d, %v", status, err)
	}
	if info, err := c.client.Get(t.Context(), receipt.ID); err != nil || info.State != store.Succeeded {
		t.Errorf("c.client.Get: got %+v, %v, want no error && info.State == store.Succeeded", info, err)
	}
	c.front.stopAll()
}

// The same program pulls, in a worker pool, and makes jobs of the submit queue's messages.
func TestWorkerPool(t *testing.T) {
	c := newCloud(t)
	const jobs = 200
	worker := &instance{addr: "none: it pulls"}
	c.front.instances = append(c.front.instances, worker)
	c.front.run(worker, append(c.environ, "PIECEWORK_SUBMIT=true", "PIECEWORK_CONCURRENCY=16"), "worker")
	for n := range jobs {
		var err error
		if n%2 == 0 {
			_, err = c.submitAgain(t.Context(), n)
		} else {
			err = c.opened.Queues.Sender().Submit(t.Context(), functions.SubmitQueue, message(n))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	ids := c.stored(ctx, jobs)
	stopSweeping := c.every(time.Second, func(ctx context.Context) { // a worker sweeps once a minute
		if _, err := c.rt.Sweep(ctx, functions.SweepRequest{}); err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	f := c.check(ctx, ids)
	stopSweeping()
	c.front.stopAll()
	c.checkStored(jobs)
	t.Logf("worker pool: %d jobs, %d attempts, %d continued, stopped in %.1f s", jobs, f.attempts, f.continued, c.front.slowest.Seconds())
}

// stored waits until all jobs are stored, and returns their ids by number.
func (c *cloud) stored(ctx context.Context, jobs int) []string {
	c.t.Helper()
	ids, found := make([]string, jobs), 0
	for {
		numbers := map[string]int{}
		for n := range jobs {
			numbers[key(n)] = n
		}
		for filter := (functions.ListFilter{Limit: 200}); ; {
			page, err := c.client.List(ctx, filter)
			if err != nil {
				c.t.Fatalf("%d of %d jobs are stored: %v", found, jobs, err)
			}
			for _, j := range page.Jobs {
				if n, ok := numbers[j.Key]; ok {
					ids[n] = j.ID
					delete(numbers, j.Key)
				}
			}
			if filter.Cursor = page.Next; filter.Cursor == "" {
				break
			}
		}
		if found = jobs - len(numbers); found == jobs {
			return ids
		}
		pause(ctx, 200*time.Millisecond)
	}
}
