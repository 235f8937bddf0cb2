package doctor_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gocloud.dev/blob/memblob"
	"gocloud.dev/docstore"
	"gocloud.dev/docstore/driver"
	"gocloud.dev/docstore/memdocstore"
	"gocloud.dev/pubsub"

	"github.com/piecework/piecework/functions/fsck"
	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/pubsubq"
	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/store/relay"
)

func TestAHealthyDeployment(t *testing.T) {
	t.Parallel()
	for _, probe := range []string{"", "probe"} {
		w := newWorld(t)
		w.ProbeQueue = probe
		received := "ok queue default receive: it came, and was acknowledged"
		if probe != "" {
			received = "ok queue probe receive: it came, and was acknowledged"
		}
		w.wantFindings(true, "ok store create:", "ok store create again: refused", "ok store read:", "ok store compare and set:",
			"ok store query by due_pk: finds the record by an index", "ok store query by list_pk: finds the record by an index",
			"ok store query by fail_pk: finds the record by an index", "ok store delete:", "ok queue default send:", received,
			"delay: a message that was to come after 1s came after 1", "ok blobs put:", "ok blobs get:", "ok blobs range:", "ok blobs list:",
			"warn blobs sign: this bucket cannot", "ok blobs remove:")
		w.wantNothingLeft()
	}
}

// wantNothingLeft checks that the doctor removed what it wrote, and that fsck takes what a killed
// doctor leaves for harmless.
func (w *world) wantNothingLeft() {
	w.t.Helper()
	dir := strings.TrimPrefix(w.Config.Blobs, "file://")
	if entries, err := os.ReadDir(filepath.Join(dir, "jobs")); err != nil && !errors.Is(err, os.ErrNotExist) || len(entries) != 0 {
		w.t.Errorf("folders below jobs = %v, error %v, want none", entries, err)
	}
	set := drivers.New(w.register...)
	coll, closeStore, err := set.OpenStore(w.t.Context(), w.Config.Store)
	if err != nil {
		w.t.Fatal(err)
	}
	defer closeStore()
	bucket, err := set.OpenBucket(w.t.Context(), w.Config.Blobs)
	if err != nil {
		w.t.Fatal(err)
	}
	defer bucket.Close()
	report, err := fsck.Check(w.t.Context(), coll, bucket.Bucket, fsck.Options{Now: time.Now()})
	if err != nil || report.Records+report.Blobs != 0 || len(report.Notes) != 0 {
		w.t.Errorf("report after the doctor = %+v, error %v, want nothing left", report, err)
	}
	if err := bucket.WriteAll(w.t.Context(), "jobs/doctor-1", []byte("x"), nil); err != nil {
		w.t.Fatal(err)
	}
	if err := coll.Create(w.t.Context(), map[string]any{"id": "doctor-1", "data": []byte("1"), "due_pk": "doctor-1", "due_sk": "doctor-1"}); err != nil {
		w.t.Fatal(err)
	}
	report, err = fsck.Check(w.t.Context(), coll, bucket.Bucket, fsck.Options{Now: time.Now()})
	if err != nil || len(report.Problems) != 0 || len(report.Notes) != 2 {
		w.t.Errorf("report after a killed doctor = %+v, error %v, want two notes and no problem", report, err)
	}
}

func TestALeaseShorterThanTheClocksAllow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Config.Timing = store.Timing{Lease: 3 * time.Second, Skew: 2 * time.Second}
	w.wantFindings(true, "warn lease: 3s is shorter than twice the 2s that clocks may differ", "set PIECEWORK_LEASE to 4s at least")
	w.Config.Timing.Lease = 4 * time.Second
	if found := w.wantFindings(true); strings.Contains(found, "lease:") {
		t.Errorf("findings have one of a lease of twice the skew, want none:\n%s", found)
	}
	w.Config.Timing = store.Timing{Skew: 31 * time.Second} // with the default lease
	w.wantFindings(true, "warn lease: 1m0s is shorter than twice the 31s")
}

func TestAStoreThatIsAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Config.Store = "sqlite:///dev/null/records.db"
	w.wantFindings(false, "FAIL store open: open store sqlite:///dev/null/records.db", "PIECEWORK_STORE", "ok blobs get")
}

func TestAMissingIndex(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.wantFindings(true)
	db, err := sql.Open("sqlite", strings.TrimPrefix(w.Config.Store, "sqlite://"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var name string
	if err := db.QueryRowContext(t.Context(), "SELECT name FROM sqlite_schema WHERE type='index' AND sql LIKE '%fail_pk%'").Scan(&name); err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), "DROP INDEX "+name); err != nil {
		t.Fatal(err)
	}
	w.Config.Store += "?create=false"
	w.wantFindings(false, "FAIL store query by fail_pk: finds the record by reading everything", "run init", "ok store query by due_pk")
}

// inMemory opens a store in memory.
func inMemory(revisionField string, hooks *relay.Hooks) drivers.StoreDriver {
	return drivers.StoreDriver{Open: func(context.Context, *drivers.Address) (*docstore.Collection, func() error, error) {
		coll, err := memdocstore.OpenCollection("id", &memdocstore.Options{RevisionField: revisionField})
		if err != nil || hooks == nil {
			return coll, coll.Close, err
		}
		return relay.New(coll, *hooks), coll.Close, nil
	}}
}

func TestStaleWrites(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.store(inMemory("other", nil))
	w.wantFindings(false, "FAIL store compare and set: a stale write was accepted", "jobs would run twice")
}

func TestPlans(t *testing.T) {
	t.Parallel()
	for plan, want := range map[string]string{
		"Index: due":                           "ok store query by due_pk: finds the record by an index\n",
		"COLLSCAN: every document is read":     "FAIL store query by due_pk: finds the record by reading everything: COLLSCAN: every document is read; the index may be missing: run init",
		"SCAN of a part of index x, and SORT":  "FAIL store query by due_pk: finds the record by reading everything: SCAN of a part",
		"unknown":                              "ok store query by due_pk: finds the record; this store does not say whether by an index\n",
		"Seq Scan on records (cost=0.00..1.1)": "warn store query by due_pk: finds the record by reading the table",
	} {
		w := newWorld(t)
		w.store(inMemory("rev", &relay.Hooks{Plan: func(*driver.Query) (string, error) { return plan, nil }}))
		w.wantFindings(!strings.HasPrefix(want, "FAIL"), want)
	}
}

var errDenied = errors.New("access denied")

func deny(s *drivers.Set) {
	s.AddDenial(func(err error) string {
		if errors.Is(err, errDenied) {
			return "grant the right to look"
		}
		return ""
	})
}

func TestAMissingRightIsNamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.register = append(w.register, deny)
	w.store(drivers.StoreDriver{Open: func(context.Context, *drivers.Address) (*docstore.Collection, func() error, error) {
		return nil, nil, errDenied
	}})
	w.wantFindings(false, "FAIL store open:", "; grant the right to look")
}

func TestABrokerThatIsAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	away := errors.New("connection refused")
	w.broker("away", drivers.Broker{
		Topic:        func(context.Context, string) (*pubsub.Topic, error) { return nil, away },
		Subscription: func(context.Context, string) (*pubsub.Subscription, error) { return nil, away },
	})
	w.wantFindings(false, "FAIL queue default send:", "connection refused", "PIECEWORK_QUEUES", "ok blobs get")
}

func TestAQueueWithoutSubscription(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.broker("lossy", drivers.Broker{Direct: lossy{}})
	w.wantFindings(true, "warn queue default receive: nothing came within 1s: a worker may have taken it", "PIECEWORK_PROBE_QUEUE")
	w.ProbeQueue = "probe"
	w.wantFindings(false, "FAIL queue probe receive: nothing came within 1s", "a topic needs its subscription")
}

func TestTheMessageOfAJobIsGivenBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	q, err := drivers.New(w.register...).OpenQueue(t.Context(), w.Config.Queues)
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Sender().Send(t.Context(), "default", 0, pubsubq.Message{ID: "job-1"}); err != nil {
		t.Fatal(err)
	}
	w.wantFindings(true, "ok queue default receive: a message of a job came first, and was given back")
	r := q.Receiver("default")
	defer r.Shutdown(t.Context())
	for {
		ds, err := r.Receive(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		ds[0].Ack()
		if m, err := pubsubq.DecodeMessage(ds[0].Body, ds[0].Metadata); err == nil && m.ID == "job-1" {
			return
		}
	}
}

func TestABrokenBucket(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Config.Blobs = "broken://x"
	w.register = append(w.register, func(s *drivers.Set) {
		s.AddBucket("broken", func(context.Context, *drivers.Address) (drivers.Bucket, error) {
			b := memblob.OpenBucket(nil)
			return drivers.Bucket{Bucket: b}, b.Close()
		})
	})
	w.wantFindings(false, "FAIL blobs put:", "PIECEWORK_BLOBS", "ok store delete")
}

// facts makes the queues those of a driver that knows facts.
func (w *world) facts(f *drivers.QueueFacts, err error) {
	w.register = append(w.register, deny)
	w.broker("telling", drivers.Broker{Direct: w.queue, Inspect: func(context.Context, string) (*drivers.QueueFacts, error) { return f, err }})
}

func TestHowLongAMessageIsHidden(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]struct {
		facts   drivers.QueueFacts
		timeout time.Duration
	}{
		"FAIL queue default lock: 30s is shorter than the function's timeout of 1m0s (PIECEWORK_FUNCTION_TIMEOUT)": {drivers.QueueFacts{Hidden: 30 * time.Second, Factor: 6}, time.Minute},
		"; set it to 6m0s": {drivers.QueueFacts{Hidden: 30 * time.Second, Factor: 6}, time.Minute},
		"; set it to 2m0s": {drivers.QueueFacts{Hidden: 30 * time.Second, Factor: 6, Most: 2 * time.Minute}, time.Minute},
		"warn queue default lock: 2m0s is less than 6 times the function's timeout":                           {drivers.QueueFacts{Hidden: 2 * time.Minute, Factor: 6}, time.Minute},
		"ok queue default lock: 2m0s, for a function's timeout of 1m0s":                                       {drivers.QueueFacts{Hidden: 2 * time.Minute, Factor: 6, Most: 2 * time.Minute}, time.Minute},
		"ok queue default lock: 30s, which a worker extends for as long as it holds a message\n":              {drivers.QueueFacts{Hidden: 30 * time.Second, Factor: 1, Pulled: true}, time.Minute},
		"ok queue default lock: 31s, which a worker extends for as long as it holds a message; for functions": {drivers.QueueFacts{Hidden: 31 * time.Second, Factor: 1}, 0},
	} {
		w := newWorld(t)
		c.facts.HiddenName, c.facts.HiddenRemedy, c.facts.DeadRemedy = "lock", "set it", "make one"
		w.facts(&c.facts, nil)
		w.FunctionTimeout = c.timeout
		w.wantFindings(!strings.HasPrefix(want, "FAIL") && !strings.HasPrefix(want, "; set"), want)
	}
}

func TestDeadLetters(t *testing.T) {
	t.Parallel()
	for want, f := range map[string]drivers.QueueFacts{
		"warn queue default dead letters: there is no dead-letter queue":                      {},
		"warn queue default dead letters: a message is set aside in q after 3 deliveries":     {DeadLetterQueue: "q", Deliveries: 3, LeastDeliveries: 5},
		"ok queue default dead letters: set aside in q after 9 deliveries\n":                  {DeadLetterQueue: "q", Deliveries: 9, LeastDeliveries: 5},
		"warn queue submit dead letters: there is no dead-letter queue: a message that kills": {},
	} {
		w := newWorld(t)
		f.HiddenName, f.Pulled, f.DeadRemedy = "lock", true, "make one"
		w.facts(&f, nil)
		w.Submissions = true
		w.wantFindings(true, want, "warn queue submit: not tried")
	}
}

func TestFactsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.facts(nil, errDenied)
	w.wantFindings(true, "warn queue default setup: could not be read: access denied; grant the right to look; jobs run without it")
	w.facts(nil, errors.New("no such queue"))
	w.wantFindings(true, "warn queue default setup: could not be read: no such queue; check that the queue exists")
}
