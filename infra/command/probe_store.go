package command

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"gocloud.dev/docstore"
	"gocloud.dev/gcerrors"

	"github.com/piecework/piecework/store"
)

// probe is a record of the doctor's. It has the fields of all records, and stands in partitions of its own in the indexes.
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
}

// store tries what the store package does with the collection.
func (d *doctor) store(ctx context.Context) {
	const what = "store open"
	var coll *docstore.Collection
	var closeStore func() error
	err := d.try(ctx, func(ctx context.Context) (err error) {
		coll, closeStore, err = d.set.OpenStore(ctx, d.env.Store)
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
	if _, err := store.New(coll, &store.Options{Timing: d.env.Timing}); err != nil {
		d.fail(what, err.Error(), "correct PIECEWORK_LEASE, PIECEWORK_GRACE, PIECEWORK_MAX_GRACE or PIECEWORK_SKEW")
		return
	}
	if t := d.env.Timing; t.Grace <= t.Lease {
		d.warn("store timing", fmt.Sprintf("grace %v is not longer than lease %v, so every claim moves a due time", t.Grace, t.Lease),
			"make PIECEWORK_GRACE longer than PIECEWORK_LEASE")
	}
	if strings.HasPrefix(d.env.Store, "mem:") {
		d.warn(what, address(d.env.Store)+" is lost with each process, and seen by no other",
			"name a store that all processes reach in "+envStore+" unless this is a trial")
	} else {
		d.okf(what, "%s", address(d.env.Store))
	}
	p := &storeProbe{d, coll}
	defer p.facts(ctx)
	defer p.remove(context.WithoutCancel(ctx))
	p.run(ctx)
}

// run tries one thing after the other. What rests on something that failed is not tried.
func (p *storeProbe) run(ctx context.Context) {
	made := &probe{
		ID: p.id, Data: []byte("1"), DuePK: p.id, DueSK: p.id, ListPK: p.id, ListSK: p.id, FailPK: p.id, FailSK: p.id,
	}
	if err := p.try(ctx, func(ctx context.Context) error { return p.coll.Create(ctx, made) }); err != nil {
		p.failed("store create", err, storeRemedies)
		return
	}
	p.okf("store create", "record %s", p.id)
	err := p.try(ctx, func(ctx context.Context) error { return p.coll.Create(ctx, &probe{ID: p.id, Data: []byte("2")}) })
	if err == nil {
		p.fail("store create again", "a record was replaced by another that was created under its id", faultyStore)
		return
	}
	if code := gcerrors.Code(err); code != gcerrors.AlreadyExists && code != gcerrors.FailedPrecondition {
		p.failed("store create again", err, storeRemedies)
		return
	}
	p.okf("store create again", "refused, as it must be")
	first, err := p.read(ctx, "1")
	if err != nil {
		p.failed("store read", err, storeRemedies)
		return
	}
	p.okf("store read", "sees what was just written")
	p.compareAndSet(ctx, first)
	for _, index := range store.Indexes() {
		p.index(ctx, index[0], index[1])
	}
}

// faultyStore is advised when a store does not keep its word.
const faultyStore = "do not use this store or its proxy: jobs would run twice or be lost; " + envStore + " must name one with conditional writes"

// read reads the record, whose data must be want.
func (p *storeProbe) read(ctx context.Context, want string) (*probe, error) {
	got := &probe{ID: p.id}
	err := p.try(ctx, func(ctx context.Context) error { return p.coll.Get(ctx, got, "data", store.RevisionField) })
	if err == nil && string(got.Data) != want {
		err = fmt.Errorf("read %q where %q was written: reads by id must see the last write", got.Data, want)
	}
	return got, err
}

// compareAndSet writes twice at one revision, of which the second must lose.
func (p *storeProbe) compareAndSet(ctx context.Context, first *probe) {
	const what = "store compare and set"
	write := func(data string) error {
		return p.try(ctx, func(ctx context.Context) error {
			return p.coll.Update(ctx, &probe{ID: p.id, Rev: first.Rev}, docstore.Mods{"data": []byte(data)})
		})
	}
	if err := write("3"); err != nil {
		p.failed(what, err, storeRemedies)
		return
	}
	switch err := write("4"); gcerrors.Code(err) {
	case gcerrors.FailedPrecondition, gcerrors.NotFound, gcerrors.AlreadyExists:
	case gcerrors.OK:
		p.fail(what, "a stale write was accepted", faultyStore)
		return
	default:
		p.failed(what, err, storeRemedies)
		return
	}
	if _, err := p.read(ctx, "3"); err != nil {
		p.failed(what, err, storeRemedies)
		return
	}
	p.okf(what, "of two writes at one revision the second was refused")
}

// remove deletes the record, also one that is there though the store did not say so.
func (p *storeProbe) remove(ctx context.Context) {
	const what = "store delete"
	got := &probe{ID: p.id}
	get := func(ctx context.Context) error { return p.coll.Get(ctx, got, store.RevisionField) }
	err := p.try(ctx, get)
	if gcerrors.Code(err) == gcerrors.NotFound {
		return // it was never created, which has been said
	}
	if err == nil {
		err = p.try(ctx, func(ctx context.Context) error { return p.coll.Delete(ctx, got) })
	}
	if err == nil {
		if err = p.try(ctx, get); gcerrors.Code(err) == gcerrors.NotFound {
			p.okf(what, "record %s is gone", p.id)
			return
		}
		err = errors.Join(errors.New("the record is still there"), err)
	}
	p.fail(what, fmt.Sprintf("record %s may be left, which disturbs nothing: %v", p.id, err), p.remedy(err, storeRemedies))
}
