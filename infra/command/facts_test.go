package command_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"gocloud.dev/docstore"
	"gocloud.dev/docstore/driver"
	"gocloud.dev/docstore/memdocstore"

	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/store/relay"
)

// tells makes the queues and the store those of drivers that tell facts.
func (w *world) tells(lane *drivers.LaneFacts, st *drivers.StoreFacts, err error) {
	w.register = w.register[:2]
	w.brokenQueues(drivers.Broker{Direct: w.queue, Inspect: func(context.Context, string) (*drivers.LaneFacts, error) {
		return lane, err
	}})
	w.register = append(w.register, func(s *drivers.Set) {
		s.AddStore("telling", drivers.StoreDriver{
			Open: func(context.Context, *drivers.Address) (*docstore.Collection, func() error, error) {
				coll, err := memdocstore.OpenCollection("id", &memdocstore.Options{RevisionField: "rev"})
				return coll, coll.Close, err
			},
			TTL: func(a *drivers.Address) store.TTL {
				if a.Params.Bool("ttl", false) {
					return store.TTLSeconds
				}
				return store.TTLNone
			},
			Facts: func(context.Context, *drivers.Address, *docstore.Collection) (*drivers.StoreFacts, error) {
				return st, err
			},
		})
		s.AddDenial(func(err error) string {
			if errors.Is(err, errDenied) {
				return "grant the right to look"
			}
			return ""
		})
	})
	w.env["PIECEWORK_STORE"] = "telling://x"
}

var errDenied = errors.New("access denied")

// The plan of a store in memory is a scan, which is not what is looked at here: the exit status is 1 each time.
func TestDoctorJudgesHowLongAMessageIsHidden(t *testing.T) {
	t.Parallel()
	for text, c := range map[string]struct {
		facts   drivers.LaneFacts
		timeout string
	}{
		"FAIL lane default lock: 30s is shorter than the function's timeout of 1m0s (PIECEWORK_FUNCTION_TIMEOUT)": {drivers.LaneFacts{Hidden: 30 * time.Second, Factor: 6}, "1m"},
		"; set it to 6m0s": {drivers.LaneFacts{Hidden: 30 * time.Second, Factor: 6}, "1m"},
		"; set it to 2m0s": {drivers.LaneFacts{Hidden: 30 * time.Second, Factor: 6, Most: 2 * time.Minute}, "1m"},
		"warn lane default lock: 2m0s is less than 6 times the function's timeout":                           {drivers.LaneFacts{Hidden: 2 * time.Minute, Factor: 6}, "1m"},
		"ok lane default lock: 2m0s, for a function's timeout of 1m0s":                                       {drivers.LaneFacts{Hidden: 2 * time.Minute, Factor: 6, Most: 2 * time.Minute}, "1m"},
		"ok lane default lock: 30s, which a worker extends for as long as it holds a message":                {drivers.LaneFacts{Hidden: 30 * time.Second, Extended: true, Pulled: true}, "1m"},
		"ok lane default lock: 31s, which a worker extends for as long as it holds a message; for functions": {drivers.LaneFacts{Hidden: 31 * time.Second, Extended: true}, ""},
		"warn lane default lock: 30s is shorter than the lease of 1m0s":                                      {drivers.LaneFacts{Hidden: 30 * time.Second}, ""},
		"ok lane default lock: 1m0s": {drivers.LaneFacts{Hidden: time.Minute}, ""},
		"ok lane submit lock: 1s":    {drivers.LaneFacts{Hidden: time.Second, Factor: 6}, "1m"},
	} {
		w := newWorld(t)
		c.facts.HiddenName, c.facts.HiddenRemedy = "lock", "set it"
		w.tells(&c.facts, nil, nil)
		w.env["PIECEWORK_FUNCTION_TIMEOUT"] = c.timeout
		want(t, w.findings(1), text)
	}
}

func TestDoctorJudgesDeadLetters(t *testing.T) {
	t.Parallel()
	for text, f := range map[string]drivers.LaneFacts{
		"warn lane default dead letters: there is no dead-letter queue":                                       {DeadLetters: drivers.No},
		"warn lane default dead letters: after 3 deliveries a message is given up":                            {DeadLetters: drivers.No, Deliveries: 3},
		"warn lane default dead letters: 7 wait in q, delivered 9 times each; mend it":                        {DeadLetters: drivers.Yes, DeadLetterQueue: "q", Deliveries: 9, Waiting: 7},
		"warn lane default dead letters: a message is set aside in q after 3 deliveries":                      {DeadLetters: drivers.Yes, DeadLetterQueue: "q", Deliveries: 3, LeastDeliveries: 5},
		"ok lane default dead letters: set aside in q after 9 deliveries, where none waits":                   {DeadLetters: drivers.Yes, DeadLetterQueue: "q", Deliveries: 9},
		"ok lane default dead letters: set aside in q after 8 deliveries; how many wait there is not checked": {DeadLetters: drivers.Yes, DeadLetterQueue: "q", Deliveries: 8, Waiting: -1},
		"ok lane default dead letters: who knows":                                                             {DeadNote: "who knows"},
	} {
		w := newWorld(t)
		f.DeadRemedy = "mend it"
		w.tells(&f, nil, nil)
		want(t, w.findings(1), text)
	}
}

func TestDoctorJudgesExpiryAndClock(t *testing.T) {
	t.Parallel()
	now := time.Now()
	clock := func(ahead time.Duration) *drivers.Clock {
		return &drivers.Clock{Server: now.Add(ahead), Sent: now.Add(-time.Second), Received: now.Add(time.Second)}
	}
	for text, c := range map[string]struct {
		facts drivers.StoreFacts
		url   string
	}{
		"ok store expiry: sweep removes what is past its retention\n":                                                              {drivers.StoreFacts{Expires: drivers.No}, "telling://x"},
		"if PIECEWORK_STORE said ttl=true":                                                                                         {drivers.StoreFacts{Expires: drivers.Yes}, "telling://x"},
		"ok store expiry: the server deletes what is past its retention: thus":                                                     {drivers.StoreFacts{Expires: drivers.Yes, Expiry: "thus"}, "telling://x?ttl=true"},
		"FAIL store expiry: PIECEWORK_STORE says ttl=true, but the server":                                                         {drivers.StoreFacts{Expires: drivers.No}, "telling://x?ttl=true"},
		"warn store expiry: PIECEWORK_STORE says ttl=true, and whether":                                                            {drivers.StoreFacts{}, "telling://x?ttl=true"},
		"ok store clock: this machine's clock agrees with that of the service, give or take 1s":                                    {drivers.StoreFacts{Clock: clock(0)}, "telling://x"},
		"ok store clock: this machine's clock is 2.9s behind that of the service, give or take 1s":                                 {drivers.StoreFacts{Clock: clock(2900 * time.Millisecond)}, "telling://x"},
		"warn store clock: this machine's clock is 5s ahead of that of the service, give or take 1s, and PIECEWORK_SKEW allows 2s": {drivers.StoreFacts{Clock: clock(-5 * time.Second)}, "telling://x"},
		"FAIL store clock: this machine's clock is 2m0s behind that of the service":                                                {drivers.StoreFacts{Clock: clock(2 * time.Minute)}, "telling://x"},
	} {
		w := newWorld(t)
		w.tells(nil, &c.facts, nil)
		w.env["PIECEWORK_STORE"] = c.url
		want(t, w.findings(1), text)
	}
}

func TestDoctorSaysWhatItCouldNotBeTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.tells(nil, nil, errDenied)
	want(t, w.findings(1), "warn store setup: could not be told: access denied; grant the right to look; only the doctor needs it",
		"warn lane default setup: could not be told: access denied; grant the right to look")
	w.tells(nil, nil, errors.New("no such queue"))
	want(t, w.findings(1), "warn lane default setup: could not be told: no such queue; see that it exists")
}

func TestDoctorSaysWhatItDidNotCheck(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.tells(nil, nil, nil)
	want(t, w.findings(1), "ok lane default setup: not checked: these queues do not tell how they are set up\n",
		"ok store clock: not checked: this store has no clock of its own\n")
	w.tells(&drivers.LaneFacts{}, &drivers.StoreFacts{ClockNote: "it is shy"}, nil)
	want(t, w.findings(1), "ok lane default redelivery: not checked: these queues do not tell when a message comes again\n",
		"ok lane default dead letters: not checked: these queues do not tell", "ok store clock: not checked: it is shy\n")
	w.tells(&drivers.LaneFacts{HiddenNote: "it depends", DeadNote: "none ever"}, nil, nil)
	want(t, w.findings(1), "ok lane default redelivery: not checked: it depends\n", "ok lane default dead letters: none ever\n")
	w.tells(&drivers.LaneFacts{Unseen: "it is not there yet", Hidden: time.Second}, nil, nil)
	if out := w.findings(1); !strings.Contains(out, "ok lane default setup: not checked: it is not there yet\n") || strings.Contains(out, "redelivery") {
		t.Error(out)
	}
}

func TestDoctorJudgesPlans(t *testing.T) {
	t.Parallel()
	for plan, text := range map[string]string{
		"Index: due":                           "ok store query by due_pk: finds the record by an index\n",
		"COLLSCAN: every document is read":     "FAIL store query by due_pk: finds the record by reading everything: COLLSCAN: every document is read; the index may be missing: run init",
		"SCAN of a part of index x, and SORT":  "FAIL store query by due_pk: finds the record by reading everything: SCAN of a part",
		"unknown":                              "ok store query by due_pk: finds the record; whether by an index is not checked: it is shy\n",
		"Seq Scan on records (cost=0.00..1.1)": "warn store query by due_pk: finds the record by reading the table",
	} {
		w := newWorld(t)
		w.env["PIECEWORK_STORE"] = "planned://x"
		w.register = append(w.register, func(s *drivers.Set) {
			s.AddStore("planned", drivers.StoreDriver{PlanNote: "it is shy", Open: func(context.Context, *drivers.Address) (*docstore.Collection, func() error, error) {
				inner, err := memdocstore.OpenCollection("id", &memdocstore.Options{RevisionField: "rev"})
				return relay.New(inner, relay.Hooks{Plan: func(*driver.Query) (string, error) { return plan, nil }}), inner.Close, err
			}})
		})
		status := 0
		if strings.HasPrefix(text, "FAIL") {
			status = 1
		}
		want(t, w.findings(status), text)
	}
}

func TestDoctorPassesOnWhatADriverRemarks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rs := []drivers.Remark{{What: "size", Why: "1 MB"}, {What: "spread", Why: "one only", Remedy: "add some"}, {What: "state", Why: "off", Remedy: "switch it on", Fatal: true}}
	w.tells(&drivers.LaneFacts{Remarks: rs}, &drivers.StoreFacts{Remarks: rs}, nil)
	for _, of := range []string{"store", "lane default"} {
		want(t, w.findings(1), "ok "+of+" size: 1 MB\n", "warn "+of+" spread: one only; add some\n", "FAIL "+of+" state: off; switch it on\n")
	}
	w.tells(&drivers.LaneFacts{Unseen: "gone", Remarks: rs}, nil, nil)
	if out := w.findings(1); strings.Contains(out, "spread") {
		t.Error(out)
	}
}

func TestDoctorNamesTheRightThatIsMissing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.tells(nil, nil, nil)
	w.register = append(w.register, func(s *drivers.Set) {
		s.AddStore("denied", drivers.StoreDriver{Open: func(context.Context, *drivers.Address) (*docstore.Collection, func() error, error) {
			return nil, nil, errDenied
		}})
	})
	w.env["PIECEWORK_STORE"] = "denied://x"
	want(t, w.findings(1), "FAIL store open:", "; grant the right to look")
}

func TestDoctorRefusesAMisspeltTimeout(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.env["PIECEWORK_FUNCTION_TIMEOUT"] = "15"
	status, _, errs := w.run("doctor")
	if status != 2 {
		t.Errorf("status %d", status)
	}
	want(t, errs, `PIECEWORK_FUNCTION_TIMEOUT="15"`, "a duration such as 15m")
}
