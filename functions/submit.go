package functions

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/google/uuid"

	"github.com/piecework/piecework/functions/internal/ident"
	"github.com/piecework/piecework/functions/internal/telemetry"
	"github.com/piecework/piecework/store"
)

// Receipt is the result of a submission.
type Receipt struct {
	ID       string      `json:"id"`
	State    store.State `json:"state"`
	Existing bool        `json:"existing" doc:"the key was used before, and this is that job"`
	Err      error       `json:"-"` // of SubmitMany: why this one was not submitted
}

// Submission is one of many jobs for SubmitMany.
type Submission struct {
	Kind    string
	Args    any
	Options []SubmitOption
}

// SubmitMany submits many jobs with bulk writes and batched messages. The receipts are in the order
// of the submissions. A refused submission has its reason in Err, and does not stop the other
// submissions. The error is nil if all were submitted. Otherwise it says how many were not, with
// the first reason.
func (c *Client) SubmitMany(ctx context.Context, subs []Submission) ([]Receipt, error) {
	receipts := make([]Receipt, len(subs))
	for start := 0; start < len(subs); start += submitBatch {
		end := min(start+submitBatch, len(subs))
		c.rt.submitSome(ctx, subs[start:end], receipts[start:end])
		if last := receipts[end-1].Err; errors.Is(last, store.ErrUnavailable) {
			for i := end; i < len(subs); i++ { // the next batch would wait as long again
				receipts[i].Err = last
			}
			break
		}
	}
	return receipts, manyError(receipts)
}

// submitSome submits a batch: one list of creations, then one of messages.
func (rt *Runtime) submitSome(ctx context.Context, subs []Submission, receipts []Receipt) {
	at := make([]int, 0, len(subs)) // of each job, the index of its submission
	asked := make([]store.Job, 0, len(subs))
	fresh := make([]store.Job, 0, len(subs))
	unlearnt := map[string]error{} // by kind, so that SubmitMany waits for a store that is away once
	for i, s := range subs {
		var j store.Job
		var held bool
		err := unlearnt[s.Kind]
		if err == nil {
			var k *kind
			var base settings
			if k, base, err = rt.learn(ctx, rt.store, s.Kind); err == nil {
				j, held, err = rt.prepare(ctx, k, base, s.Args, s.Options)
			} else {
				unlearnt[s.Kind] = err
			}
		}
		if err != nil {
			receipts[i].Err = err
			continue
		}
		at, asked, fresh = append(at, i), append(asked, j), append(fresh, rt.store.NewJob(j, held, rt.now()))
	}
	ctx, span := rt.tel.StartSubmitMany(ctx, fresh)
	created := make([]store.Job, 0, len(fresh))
	for n, r := range rt.store.CreateMany(ctx, fresh) {
		i := at[n]
		receipts[i], receipts[i].Err = rt.receiptFor(ctx, asked[n], r)
		if r.Err == nil {
			created = append(created, r.Job)
		}
	}
	rt.sendHints(ctx, created...)
	rt.tel.End(span, manyError(receipts))
}

// submitBatch is how many jobs are prepared and stored before their messages are sent. The first
// jobs run while the last are being stored.
const submitBatch = 500

func manyError(receipts []Receipt) error {
	n, first := 0, error(nil)
	for _, r := range receipts {
		if r.Err != nil {
			if n++; first == nil {
				first = r.Err
			}
		}
	}
	if n == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d jobs were not submitted; the first: %w", n, len(receipts), first)
}

// submit checks a submission, creates its record and sends its message. If the process dies before
// the message is sent, sweep sends it when the job is due.
func (rt *Runtime) submit(ctx context.Context, kind string, args any, opts []SubmitOption) (Receipt, error) {
	return rt.submitTo(ctx, rt.store, func(ctx context.Context, j store.Job) error { rt.sendHints(ctx, j); return nil }, kind, args, opts)
}

// submitTx submits in a transaction of the caller, so that a message that cannot be sent is an
// error.
func (rt *Runtime) submitTx(ctx context.Context, tx any, kind string, args any, opts []SubmitOption) (receipt Receipt, err error) {
	if rt.inTx == nil {
		return receipt, fmt.Errorf("%w: submit %s in a transaction: the store and the queues are not in one PostgreSQL or SQLite database",
			ErrConfig, kind)
	}
	if v := reflect.ValueOf(tx); !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		return receipt, fmt.Errorf("%w: submit %s in a transaction: the transaction is nil", ErrInvalid, kind)
	}
	in, err := rt.inTx(tx)
	if err != nil {
		return receipt, fmt.Errorf("%w: submit %s in a transaction: %w", ErrInvalid, kind, err)
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	return rt.submitTo(ctx, in.Store, func(ctx context.Context, j store.Job) error {
		for _, h := range rt.hintsFor(j) {
			if err := in.Queue.Send(ctx, h.queue, h.delay, h.msgs...); err != nil {
				return fmt.Errorf("submit %s in a transaction: %w", kind, err)
			}
		}
		return nil
	}, kind, args, opts)
}

// submitTo creates the record in a store, and has its message sent.
func (rt *Runtime) submitTo(
	ctx context.Context, to *store.Store, send func(context.Context, store.Job) error, kind string, args any, opts []SubmitOption,
) (Receipt, error) {
	k, base, err := rt.learn(ctx, to, kind)
	if err != nil {
		return Receipt{}, err
	}
	j, held, err := rt.prepare(ctx, k, base, args, opts)
	if err != nil {
		return Receipt{}, err
	}
	ctx, span := rt.tel.StartSubmit(ctx, &j)
	created, err := to.Create(ctx, to.NewJob(j, held, rt.now()))
	receipt, err := rt.receiptFor(ctx, j, store.Result{Job: created, Err: err})
	if err == nil && !receipt.Existing {
		err = send(ctx, created)
	}
	if receipt.Existing {
		telemetry.MarkExisting(span)
	}
	rt.tel.End(span, err)
	return receipt, err
}

// receiptFor turns the creation of a record into a receipt.
func (rt *Runtime) receiptFor(ctx context.Context, asked store.Job, r store.Result) (Receipt, error) {
	receipt := Receipt{ID: r.Job.ID, State: r.Job.State}
	switch {
	case r.Err == nil:
		rt.stats.Submitted.Add(1)
		rt.tel.CountSubmitted(ctx, r.Job)
		return receipt, nil
	case errors.Is(r.Err, store.ErrExists) && asked.Key != "":
		rt.discardArgs(ctx, asked)
		if r.Job.ArgsHash != asked.ArgsHash {
			return receipt, fmt.Errorf("%w: kind %s, key %q, job %s", ErrKeyConflict, asked.Kind, asked.Key, r.Job.ID)
		}
		rt.stats.Existing.Add(1)
		receipt.Existing = true
		return receipt, nil
	default:
		return receipt, r.Err
	}
}

// discardArgs removes the arguments of a submission that made no job.
func (rt *Runtime) discardArgs(ctx context.Context, asked store.Job) {
	if asked.Args.Blob == nil {
		return
	}
	if err := rt.blobs.Remove(ctx, asPart(*asked.Args.Blob)); err != nil {
		rt.log.LogAttrs(ctx, levelWarn, "arguments of a submission that made no job could not be removed; they stay",
			append(identity(asked), errAttr(err))...)
	}
}

// prepare returns the record of a submission without its state, and whether it is held. It stores
// large arguments. s is what learn returned with the kind.
func (rt *Runtime) prepare(ctx context.Context, k *kind, s settings, args any, opts []SubmitOption) (store.Job, bool, error) {
	var j store.Job
	name := k.name
	s.tags = nil
	for _, o := range opts {
		o.applySubmit(&s)
	}
	if err := s.err(); err != nil {
		return j, false, fmt.Errorf("submit %s: %w", name, err)
	}
	data, err := guarded(ctx, rt, "", rt.cfg.HookTimeout, func(context.Context) ([]byte, error) { return rt.encodeArgs(k, args, s.lenient) })
	if err = blame("arguments", err); err != nil {
		return j, false, fmt.Errorf("submit %s: %w", name, err)
	}
	now := rt.now()
	j = store.Job{
		Kind: name, Parent: rt.parentOf(ctx), Queue: s.queue, Policy: s.policy, Key: s.key, Tags: s.tags, Trace: s.trace,
		At: max(store.At(s.at), startAfter(now, s.after)),
	}
	j.Policy.Hooks = rt.reg.hooked()
	if s.deadline > 0 {
		j.Deadline = now.Add(s.deadline)
	}
	if max(j.At, j.Deadline) > store.MaxTime {
		return j, false, fmt.Errorf("submit %s: %w: its time or deadline is after the year 9999", name, ErrInvalid)
	}
	if s.key == "" {
		j.ID = rt.newID(now)
	} else {
		j.ID = ident.OfKey(name, s.key)
		j.ArgsHash, _ = ident.Args(data)
	}
	file := "args"
	if s.key != "" { // submissions with the same key must not share a file, which each may remove
		file += "-" + rt.token()
	}
	if j.Args, err = rt.pack(ctx, j.ID, file, data); err != nil {
		return j, false, fmt.Errorf("submit %s: store arguments: %w", name, err)
	}
	return j, s.held, nil
}

// startAfter is the time after d, or none for no delay.
func startAfter(now store.Time, d time.Duration) store.Time {
	if d <= 0 {
		return 0
	}
	return now.Add(d)
}

// newID makes a job's id from a UUIDv7 (RFC 9562, section 5.7): 48 bits of milliseconds, then
// random bits.
func (rt *Runtime) newID(now store.Time) string {
	var u uuid.UUID
	binary.BigEndian.PutUint64(u[:8], uint64(now)<<16|rt.cfg.Rand()&0xffff)
	binary.BigEndian.PutUint64(u[8:], rt.cfg.Rand())
	u[6] = u[6]&0x0f | 0x70
	u[8] = u[8]&0x3f | 0x80
	return ident.Of(u)
}
