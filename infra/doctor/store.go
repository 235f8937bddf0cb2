package doctor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"gocloud.dev/docstore"
	"gocloud.dev/gcerrors"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/store"
)

// probe is a record of the doctor's. It has the fields of all records, and stands in partitions of
// its own in the indexes.
type probe struct {
	ID     string `docstore:"id"`
	Rev    any    `docstore:"rev"`
	Data   []byte `docstore:"data"`
	DuePK  string `docstore:"due_pk,omitempty"`
	DueSK  string `docstore:"due_sk,omitempty"`
	ListPK string `docstore:"list_pk,omitempty"`
	ListSK string `docstore:"list_sk,omitempty"`
	FailPK string `docstore:"fail_pk,omitempty"`
	FailSK string `docstore:"fail_sk,omitempty"`
}

// storeProbe tries a store with one record.
type storeProbe struct {
	*doctor
	coll *docstore.Collection
	rev  any // of the record, when it was first read
}

// store tries what package store does with the collection.
func (d *doctor) store(ctx context.Context) {
	const what = "store open"
	var coll *docstore.Collection
	var closeStore func() error
	err := d.try(ctx, func(ctx context.Context) (err error) {
		coll, closeStore, err = d.Set.OpenStore(ctx, d.Config.Store)
		return err
	})
	if err != nil {
		d.failed(what, err, storeRemedies)
		return
	}
	defer func() {
		if err := closeStore(); err != nil {
			d.failed("store close", err, storeRemedies)
		}
	}()
	st, err := store.New(coll, &store.Options{Timing: d.Config.Timing})
	if err != nil {
		d.add(Finding{Fail, what, err.Error(), "correct PIECEWORK_LEASE, PIECEWORK_GRACE, PIECEWORK_MAX_GRACE or PIECEWORK_SKEW"})
		return
	}
	d.timing(st.Timing())
	if address := functions.RedactURL(d.Config.Store); strings.HasPrefix(d.Config.Store, "mem:") {
		d.add(Finding{Warn, what, address + " is lost with each process, and no other process sees it",
			"name a store that all processes reach in PIECEWORK_STORE unless this is a trial"})
	} else {
		d.okf(what, "%s", address)
	}
	p := &storeProbe{doctor: d, coll: coll}
	defer p.remove(context.WithoutCancel(ctx))
	p.run(ctx)
}

// timing warns of durations that are possible and do harm.
func (d *doctor) timing(t store.Timing) {
	if t.Lease < 2*t.Skew {
		d.add(Finding{Warn, "lease", fmt.Sprintf("%v is shorter than twice the %v that clocks may differ: by a clock that is ahead, the lease "+
			"of a live worker may seem to have run out, and a lost attempt is found no sooner than after %v",
			t.Lease, t.Skew, t.Lease+t.Skew), fmt.Sprintf("set PIECEWORK_LEASE to %v at least, or lower PIECEWORK_SKEW", 2*t.Skew)})
	}
}

// run tries one thing after another, until one fails.
func (p *storeProbe) run(ctx context.Context) {
	ok := p.step(ctx, "store create", "record "+p.id, storeRemedies, func(ctx context.Context) error {
		return p.coll.Create(ctx, &probe{
			ID: p.id, Data: []byte("1"), DuePK: p.id, DueSK: p.id, ListPK: p.id, ListSK: p.id, FailPK: p.id, FailSK: p.id,
		})
	}) && p.step(ctx, "store create again", "refused, as it must be", storeRemedies, func(ctx context.Context) error {
		err := p.coll.Create(ctx, &probe{ID: p.id, Data: []byte("2")})
		return refused(err, "a record was replaced by another that was created under its id", gcerrors.AlreadyExists, gcerrors.FailedPrecondition)
	}) && p.step(ctx, "store read", "sees what was just written", storeRemedies, func(ctx context.Context) (err error) {
		p.rev, err = p.read(ctx, "1")
		return err
	})
	if !ok {
		return
	}
	p.step(ctx, "store compare and set", "of two writes at one revision the second was refused", storeRemedies, p.compareAndSet)
	for _, index := range store.Indexes() {
		p.index(ctx, index[0], index[1])
	}
}

// refused returns nil if err is one of the codes by which stores refuse a conditional write, and a
// verdict on the store if it has not refused.
func refused(err error, otherwise string, codes ...gcerrors.ErrorCode) error {
	if err == nil {
		return verdict{Level: Fail, Why: otherwise, Remedy: faultyStore}
	}
	if slices.Contains(codes, gcerrors.Code(err)) {
		return nil
	}
	return err
}

// read returns the revision of the record, whose data must be want.
func (p *storeProbe) read(ctx context.Context, want string) (rev any, err error) {
	got := &probe{ID: p.id}
	err = p.coll.Get(ctx, got, "data", store.RevisionField)
	if err == nil && string(got.Data) != want {
		err = fmt.Errorf("read %q where %q was written: reads by id must see the last write", got.Data, want)
	}
	return got.Rev, err
}

// compareAndSet writes twice at one revision. The second write must lose.
func (p *storeProbe) compareAndSet(ctx context.Context) error {
	write := func(data string) error {
		return p.coll.Update(ctx, &probe{ID: p.id, Rev: p.rev}, docstore.Mods{"data": []byte(data)})
	}
	if err := write("3"); err != nil {
		return err
	}
	err := refused(write("4"), "a stale write was accepted", gcerrors.FailedPrecondition, gcerrors.NotFound, gcerrors.AlreadyExists)
	if err != nil {
		return err
	}
	_, err = p.read(ctx, "3")
	return err
}

// index queries one index as package store does, until the record is found there, and judges how
// the query is run.
func (p *storeProbe) index(ctx context.Context, pk, sk string) {
	what := "store query by " + pk
	direction := docstore.Descending
	if pk == "due_pk" {
		direction = docstore.Ascending
	}
	query := func() *docstore.Query {
		return p.coll.Query().Where(docstore.FieldPath(pk), "=", p.id).Where(docstore.FieldPath(sk), "<", p.id+"~").
			OrderBy(sk, direction).Limit(2)
	}
	found := 0
	err := p.try(ctx, func(ctx context.Context) error {
		_, err := poll(ctx, func() (_ bool, err error) {
			found, err = count(ctx, query(), sk)
			return found > 0, err
		})
		return err
	})
	switch {
	case err != nil:
	case found == 0:
		err = fmt.Errorf("the record was not found within %v", p.Patience)
	case found > 1:
		err = verdict{Level: Fail, Why: "the record was found twice", Remedy: faultyStore}
	default:
		var how string
		if how, err = plan(query(), sk); err == nil {
			p.okf(what, "%s", how)
		}
	}
	if err != nil {
		p.failed(what, err, queryRemedies)
	}
}

// count counts what a query finds.
func count(ctx context.Context, q *docstore.Query, sk string) (int, error) {
	it := q.Get(ctx, "id", docstore.FieldPath(sk))
	defer it.Stop()
	for n := 0; ; n++ {
		err := it.Next(ctx, &probe{})
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}

// plan says how the store runs a query that has found the record. A query that reads everything is
// an error. Plans are text: of DynamoDB as gocloud writes it, of MongoDB as our driver does, of
// SQLite or of PostgreSQL.
func plan(q *docstore.Query, sk string) (string, error) {
	text, err := q.Plan("id", docstore.FieldPath(sk))
	has := func(part string) bool { return strings.Contains(text, part) }
	switch {
	case gcerrors.Code(err) == gcerrors.Unimplemented, err == nil && text == "unknown":
		return "finds the record; this store does not say whether by an index", nil
	case err != nil:
		return "", fmt.Errorf("ask for the plan: %w", err)
	case has("Seq Scan"):
		return "", verdict{Level: Warn, Why: "finds the record by reading the table, as PostgreSQL does while it is small: " + text,
			Remedy: "check again when there are some thousand records; if it is still so then, run init"}
	case !has("in Go:") && !has("SCAN") && !has("TEMP B-TREE") &&
		(strings.HasPrefix(text, "Index: ") || has("USING INDEX") || has("USING COVERING INDEX") || has("Index Scan") || has("Index Only Scan")):
		return "finds the record by an index", nil
	default:
		return "", verdict{Level: Fail, Why: "finds the record by reading everything: " + text, Remedy: missingIndex}
	}
}

// remove deletes the record, also after a create that failed but may have been applied.
func (p *storeProbe) remove(ctx context.Context) {
	got := &probe{ID: p.id}
	get := func(ctx context.Context) error { return p.coll.Get(ctx, got, store.RevisionField) }
	err := p.try(ctx, get)
	if gcerrors.Code(err) == gcerrors.NotFound {
		return // the create has failed, and was reported
	}
	if err == nil {
		err = p.try(ctx, func(ctx context.Context) error { return p.coll.Delete(ctx, got) })
	}
	if err == nil {
		if err = p.try(ctx, get); gcerrors.Code(err) == gcerrors.NotFound {
			p.okf("store delete", "record %s is gone", p.id)
			return
		}
		err = errors.Join(errors.New("the record is still there"), err)
	}
	p.failed("store delete", fmt.Errorf("record %s may be left, which disturbs nothing: %w", p.id, err), storeRemedies)
}
