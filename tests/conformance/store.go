package conformance

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"gocloud.dev/docstore"
	"gocloud.dev/docstore/driver"
	"gocloud.dev/gcerrors"

	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/store/relay"
)

// OpenStore opens a collection, as each process that uses it does for itself. The harness closes it.
type OpenStore func(t *testing.T) *docstore.Collection

// StoreHarness is a document store to be tested.
type StoreHarness struct {
	// New makes an empty collection and returns how to open it.
	New func(t *testing.T) OpenStore
	// Indexed tells from what Query.Plan says of a query whether an index serves it, its order included. Nil: the
	// driver tells no plans.
	Indexed func(plan string) bool
	// Records is how many records the tests of the indexes store. Default 20,000, with -short a tenth.
	Records int
	// TTL is the form of the field by which the store deletes by itself. Default: it does not.
	TTL store.TTL
	// Deletes is how long the server may take for that; 0 for an emulator that never does.
	Deletes time.Duration
	// Lag is how long an index may be behind what was written. Default: not at all.
	Lag time.Duration
}

// Store tests a document store.
func Store(t *testing.T, h StoreHarness) {
	t.Helper()
	if h.Records == 0 {
		h.Records = 20_000
	}
	if testing.Short() {
		h.Records /= 10
	}
	cases := []storeCase{
		{"verbs", testVerbs},
		{"verbs are refused where they do not belong", testRefusals},
		{"a verb repeated changes nothing", testRepeated},
		{"a lost answer is recognised", testLostAnswer},
		{"a write that failed is done again", testRefusedWrite},
		{"somebody else writes in between", testConflict},
		{"a read is stale", testStaleRead},
		{"lists that fail in part", testPartialLists},
		{"the caller goes away", testCallerGone},
		{"creation by many has one winner", testCreateRace},
		{"claims by 16 have one winner each", testClaimRace},
		{"bulk claims have one winner each", testClaimManyRace},
		{"an end is final", testEndRace},
		{"the directory of kinds loses none", testKindsRace},
		{"removal is conditional", testRemoval},
		{"removal of many is conditional for each", testRemovalOfMany},
		{"messages are parked", testParked},
		{"large records", testLimits},
		{"texts of all kinds", testTexts},
		{"members of a later version survive", testUnknownMembers},
		{"fields of a later version survive", testUnknownFields},
		{"records of a later version are left alone", testNewerRecords},
		{"records of an earlier version are read", testOlderRecords},
		{"the due index follows the record", testDueFollows},
		{"the due index keeps apart what goes", testGoneFollows},
		{"lists follow the record", testListFollows},
		{"the indexes at size", testIndexes},
	}
	if h.TTL != store.TTLNone {
		cases = append(cases, expiryCases...)
	}
	if h.Deletes > 0 {
		cases = append(cases, storeCase{"what has expired is deleted", testDeletes})
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { c.test(t, newStoreLab(t, h)) })
	}
}

// storeCase is one test of a store.
type storeCase struct {
	name string
	test func(t *testing.T, l *storeLab)
}

// expiryCases are the cases of a store that deletes by itself.
var expiryCases = []storeCase{
	{"what expires by itself says when", testExpiryField},
	{"what has expired counts as deleted", testExpired},
}

// t0 is when the clocks of the tests start.
const t0 = store.Time(1_795_262_400_000)

// storeLab is a collection opened by two processes: the store under test, whose calls a test may tamper with, and
// another.
type storeLab struct {
	*store.Store

	h     StoreHarness
	open  OpenStore
	coll  *docstore.Collection // of the other process
	other *store.Store
	id    string // of the record in question

	// actions, if set, stands in front of each list of actions of the store under test.
	actions func(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError
}

func newStoreLab(t *testing.T, h StoreHarness) *storeLab {
	t.Helper()
	open := h.New(t)
	l := &storeLab{h: h, open: open, coll: open(t), id: "job-1"}
	tampered := relay.New(open(t), relay.Hooks{
		Actions: func(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError {
			if l.actions == nil {
				return next(ctx, acts)
			}
			return l.actions(ctx, acts, next)
		},
	})
	var err error
	if l.Store, err = store.New(tampered, nil); err != nil {
		t.Fatal(err)
	}
	if l.other, err = store.New(l.coll, nil); err != nil {
		t.Fatal(err)
	}
	return l
}

// job is a new job that may be tried three times.
func (l *storeLab) job(id string) store.Job {
	return l.NewJob(store.Job{
		ID: id, Kind: "a.b", Queue: "default", Policy: store.Policy{MaxAttempts: 3, Retention: 3_600_000, Hooks: true},
	}, false, t0)
}

// put creates a job, by the other process.
func (l *storeLab) put(t *testing.T, j store.Job) store.Job {
	t.Helper()
	j, err := l.other.Create(t.Context(), j)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// claimed creates a job that the attempt "token-1" holds.
func (l *storeLab) claimed(t *testing.T, id string) store.Job {
	t.Helper()
	l.put(t, l.job(id))
	j, err := l.other.Claim(t.Context(), id, store.Claim{Token: "token-1", Worker: "w", Now: t0})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// ended creates a job whose first attempt ended as f says.
func (l *storeLab) ended(t *testing.T, id string, f store.Finish) store.Job {
	t.Helper()
	j := l.claimed(t, id)
	f.Token, f.Now = "token-1", t0+1000
	j, err := l.other.Finish(t.Context(), j, f)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// read reads a job as the other process sees it.
func (l *storeLab) read(t *testing.T, id string) store.Job {
	t.Helper()
	j, err := l.other.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// sameAsStored fails the test unless a verb returned what another process reads.
func (l *storeLab) sameAsStored(t *testing.T, returned store.Job) {
	t.Helper()
	if got, want := text(t, l.read(t, returned.ID)), text(t, returned); got != want {
		t.Errorf("stored:   %s\nreturned: %s", got, want)
	}
}

// text is a job as it is written.
func text(t *testing.T, j store.Job) string {
	t.Helper()
	b, err := json.Marshal(&j, json.Deterministic(true))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// document is a record as it lies in the collection, with a field that package store does not know.
type document struct {
	ID     string `docstore:"id"`
	Rev    any    `docstore:"rev"`
	Data   []byte `docstore:"data"`
	DuePK  string `docstore:"due_pk,omitempty"`
	DueSK  string `docstore:"due_sk,omitempty"`
	ListPK string `docstore:"list_pk,omitempty"`
	ListSK string `docstore:"list_sk,omitempty"`
	FailPK string `docstore:"fail_pk,omitempty"`
	FailSK string `docstore:"fail_sk,omitempty"`
	Later  string `docstore:"later,omitempty"`
}

// documentFields are all fields of a document, which must be named: a field of a version to come would otherwise be
// an error.
var documentFields = []docstore.FieldPath{
	"data", "rev", "due_pk", "due_sk", "list_pk", "list_sk", "fail_pk", "fail_sk", "later",
}

// raw reads a document.
func (l *storeLab) raw(t *testing.T, id string) document {
	t.Helper()
	d := document{ID: id}
	if err := l.coll.Get(t.Context(), &d, documentFields...); err != nil {
		t.Fatal(err)
	}
	return d
}

// rewrite changes fields of a document behind the store's back, as another process would.
func (l *storeLab) rewrite(t *testing.T, id string, mods docstore.Mods) {
	t.Helper()
	d := l.raw(t, id)
	if err := l.coll.Update(t.Context(), &document{ID: id, Rev: d.Rev}, mods); err != nil {
		t.Fatal(err)
	}
}

// wantErr fails the test unless err is want.
func wantErr(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("error %v, want %v", err, want)
	}
}

// isWrite reports whether a list has a write.
func isWrite(acts []*driver.Action) bool {
	for _, a := range acts {
		if a.Kind != driver.Get {
			return true
		}
	}
	return false
}

// fail is the answer to a list of actions that all failed.
func fail(acts []*driver.Action, code gcerrors.ErrorCode) driver.ActionListError {
	errs := make(driver.ActionListError, 0, len(acts))
	for _, a := range acts {
		errs = append(errs, driver.ActionListError{{Index: a.Index, Err: relay.Error{Code: code}}}...)
	}
	return errs
}

// poll calls done until it returns "", and fails the test with what it said last if it never does. An index that does
// not lag is asked once.
func poll(t *testing.T, lag time.Duration, done func() string) {
	t.Helper()
	for deadline := time.Now().Add(lag); ; {
		wrong := done()
		if wrong == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Error(wrong)
			return
		}
		select {
		case <-t.Context().Done():
			t.Fatal(context.Cause(t.Context()))
		case <-time.After(50 * time.Millisecond):
		}
	}
}
