package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/store"
)

// users submit jobs and meddle with them.
type users struct {
	left int // acts
	last int // number of the last submission
	ids  []string
}

// userOp is what a user does just now.
type userOp struct {
	verb    string
	numbers []int          // of submissions
	made    map[int]string // the jobs that were created of them
	args    string         // the blob that its arguments were written to last
	target  string         // the job that is cancelled, retried, released
	at      int64          // when it was begun
}

// plan draws what a job does.
func (w *world) plan(kind string) plan {
	r := w.rng
	w.users.last++
	p := plan{N: w.users.last, Kind: kind, Steps: r.IntN(6), StepMS: int64(r.IntN(3000)), Files: r.IntN(3) > 0}
	if r.IntN(2) == 0 {
		p.Save = 1 + r.IntN(3)
	}
	if r.IntN(4) == 0 {
		p.Go = 1 + r.IntN(2)
	}
	if r.IntN(5) == 0 {
		p.Snooze = 1 + r.IntN(2)
	}
	p.Skip, p.Deaf = r.IntN(12) == 0, r.IntN(8) == 0
	if r.IntN(12) == 0 {
		p.Pad = strings.Repeat("x", store.MaxInline+100)
	}
	if r.IntN(2) == 0 && p.Steps > 0 {
		ends := []string{"error", "error", "panic", "after", "permanent", "slow", "poison", "bytes", ""}
		for range 1 + r.IntN(4) {
			p.Ends = append(p.Ends, ends[r.IntN(len(ends))])
		}
	}
	if w.cfg.Busy && w.tides.IntN(3) == 0 {
		p.Steps, p.StepMS, p.Save, p.Go, p.Files = 10+w.tides.IntN(30), w.tides.Int64N(200), 1, 0, true
	}
	w.oracle.plans[p.N] = p
	return p
}

// userActs lets a user do something, through some process.
func (w *world) userActs() {
	p := w.pickProc()
	if p == nil {
		return
	}
	w.users.left--
	if w.aim(p) {
		return
	}
	if w.meddleWithExpiry(p) {
		return
	}
	switch n := w.rng.IntN(20); {
	case n < 9:
		w.submit(p)
	case n < 11:
		w.submitKeyed(p)
	case n < 12:
		w.submitMany(p)
	case n < 14:
		w.submitMessage()
	default:
		w.meddle(p)
	}
}

// options draws the options of a submission. The world's own time from which the job may start is returned too.
func (w *world) options(n int) ([]functions.SubmitOption, int64) {
	opts := []functions.SubmitOption{functions.Tags("n" + strconv.Itoa(n))}
	var from int64
	switch w.rng.IntN(8) {
	case 0, 1:
		d := time.Duration(w.rng.IntN(40_000)) * ms
		opts = append(opts, functions.After(d))
		from = w.now + d.Milliseconds()
	case 2:
		from = w.now + w.rng.Int64N(60_000) - 5000
		opts = append(opts, functions.At(time.UnixMilli(from)))
	case 3:
		opts = append(opts, functions.Held())
	case 4:
		opts = append(opts, functions.Deadline(time.Duration(20_000+w.rng.IntN(60_000))*ms))
	}
	return w.tighten(n, opts), from
}

func (w *world) kind() string { return allKinds[w.rng.IntN(len(allKinds))] }

// submit submits one job.
func (w *world) submit(p *proc) {
	pl := w.plan(w.kind())
	opts, from := w.options(pl.N)
	w.oracle.from[pl.N] = from
	op := &userOp{verb: "submit", numbers: []int{pl.N}, made: map[int]string{}}
	w.spawn(p, "submit", func(ctx context.Context, c *co) {
		c.op = op
		ctx, done := w.patience(ctx)
		defer done()
		r, err := p.rt.Client().Submit(ctx, pl.Kind, pl, opts...)
		if !c.dead() {
			w.oracle.submitted(op, pl.N, r, err)
		}
	}).op = op
}

// submitKeyed submits a job under one of few keys, with one of two arguments.
func (w *world) submitKeyed(p *proc) { w.submitUnder(p, w.rng.IntN(3), w.rng.IntN(3)/2) }

func (w *world) submitUnder(p *proc, key, variant int) {
	kind := allKinds[key]
	n := w.oracle.keyed[[2]int{key, variant}]
	if n == 0 {
		pl := w.plan(kind)
		if n = pl.N; w.rng.IntN(3) == 0 {
			pl.Pad = strings.Repeat("y", store.MaxInline+100)
			w.oracle.plans[n] = pl
		}
		if w.cfg.Expiry && w.reaper.IntN(2) == 0 { // what has files does not expire by itself
			pl.Files, pl.Pad = false, ""
			w.oracle.plans[n] = pl
		}
		w.oracle.keyed[[2]int{key, variant}] = n
	}
	pl := w.oracle.plans[n]
	op := &userOp{verb: "submit keyed", numbers: []int{n}, made: map[int]string{}, at: w.now}
	opts := []functions.SubmitOption{functions.Tags("n" + strconv.Itoa(n)), functions.Key(fmt.Sprintf("key %d", key))}
	w.spawn(p, "submit keyed", func(ctx context.Context, c *co) {
		c.op = op
		ctx, done := w.patience(ctx)
		defer done()
		r, err := p.rt.Client().Submit(ctx, kind, pl, opts...)
		if !c.dead() {
			w.oracle.submittedKeyed(c, n, r, err)
		}
	}).op = op
}

// submitMany submits several jobs in one call.
func (w *world) submitMany(p *proc) {
	op := &userOp{verb: "submit many", made: map[int]string{}}
	var subs []functions.Submission
	for range 2 + w.rng.IntN(5) {
		pl := w.plan(w.kind())
		opts, from := w.options(pl.N)
		w.oracle.from[pl.N] = from
		op.numbers = append(op.numbers, pl.N)
		subs = append(subs, functions.Submission{Kind: pl.Kind, Args: pl, Options: opts})
	}
	w.spawn(p, "submit many", func(ctx context.Context, c *co) {
		ctx, done := w.patience(ctx)
		defer done()
		receipts, _ := p.rt.Client().SubmitMany(ctx, subs)
		if c.dead() {
			return
		}
		for i, r := range receipts {
			w.oracle.submitted(op, op.numbers[i], r, r.Err)
		}
	}).op = op
}

// submitMessage puts a submission on the submit queue; some are not what they should be.
func (w *world) submitMessage() {
	pl := w.plan(w.kind())
	args, err := json.Marshal(pl)
	if err != nil {
		panic(err)
	}
	tag := "n" + strconv.Itoa(pl.N)
	body := fmt.Sprintf(`{"kind":%q,"args":%s,"tags":[%q]}`, pl.Kind, args, tag)
	switch w.rng.IntN(6) {
	case 0:
		body, pl.N = body[:len(body)/2], 0
	case 1:
		body, pl.N = fmt.Sprintf(`{"kind":"sim.z","args":%s}`, args), 0
	case 2:
		body, pl.N = fmt.Sprintf(`{"kind":%q,"args":{"setps":1}}`, pl.Kind), 0
	}
	m := message{body: []byte(body), id: fmt.Sprintf("m%d", w.users.last), ready: w.now}
	w.oracle.messages[m.id] = pl.N
	w.post(m)
}

// meddle does something to a job that there is.
func (w *world) meddle(p *proc) {
	if len(w.users.ids) == 0 {
		return
	}
	id := w.users.ids[w.rng.IntN(len(w.users.ids))]
	client := p.rt.Client()
	switch w.rng.IntN(7) {
	case 0, 1:
		w.act(p, "cancel", id, func(ctx context.Context) error {
			_, err := client.Cancel(ctx, id, "a user's whim")
			return err
		})
	case 2, 3:
		w.act(p, "retry", id, func(ctx context.Context) error { _, err := client.Retry(ctx, id); return err })
	case 4:
		w.act(p, "release", id, func(ctx context.Context) error { _, err := client.Release(ctx, id); return err })
	case 5:
		w.act(p, "get", id, func(ctx context.Context) error {
			i, err := client.Get(ctx, id)
			w.oracle.got(of(ctx), id, i, err)
			return nil
		})
	default:
		w.act(p, "list", id, func(ctx context.Context) error { return list(ctx, client, w.kind()) })
	}
}

// act does something to a job on behalf of a user, and knows which answers are right.
func (w *world) act(p *proc, verb, id string, do func(ctx context.Context) error) {
	op := &userOp{verb: verb, target: id, at: w.now}
	w.oracle.asks(verb, id)
	w.spawn(p, verb, func(ctx context.Context, c *co) {
		ctx, done := w.patience(ctx)
		defer done()
		err := do(ctx)
		if m := w.oracle.jobs[id]; verb == "cancel" && m.asking > 0 {
			m.asking--
		}
		if c.dead() || err == nil {
			return
		}
		for _, ok := range []error{store.ErrMove, store.ErrNotFound, store.ErrUnavailable, store.ErrNewerRecord, context.Canceled} {
			if errors.Is(err, ok) {
				return
			}
		}
		if strings.Contains(err.Error(), "fault: ") {
			return // a read of a list or a blob that failed
		}
		w.violatef("answer", "%s of %s: %v", verb, id, err)
	}).op = op
}

// list reads all pages of a kind's list, and counts the live jobs.
func list(ctx context.Context, client *functions.Client, kind string) error {
	for _, err := range client.Jobs(ctx, functions.ListFilter{Kind: kind, Limit: 3}) {
		if err != nil {
			return err
		}
	}
	_, err := client.Count(ctx, 0)
	return err
}
