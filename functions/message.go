package functions

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/piecework/piecework/pubsubq"
	"github.com/piecework/piecework/store"
)

// SubmitQueue is the queue on which jobs are submitted by message.
const SubmitQueue = "submit"

// Incoming is a message of the submit queue, as the adapter got it that received it.
type Incoming struct {
	Body     []byte
	Metadata map[string]string
	// MessageID is the broker's id of the message, where that stays the same when the message is delivered again and
	// never comes back for another; "" if there is none. A submission without a key is keyed by it, so that a message
	// that is delivered twice makes one job.
	MessageID string
	// Deliveries is how often the queue has delivered the message, this time included. 0: it does not tell, or it cannot
	// take the message back.
	Deliveries int
}

// Submit is Accept of a message of which the queue does not tell how often it was delivered.
func (rt *Runtime) Submit(ctx context.Context, body []byte, metadata map[string]string, messageID string) Outcome {
	return rt.Accept(ctx, Incoming{Body: body, Metadata: metadata, MessageID: messageID})
}

// Accept is the first of the three functions: it makes jobs of a message of the submit queue: one in our JSON form, a
// CloudEvent whose type is a kind, or whatever the registry's triggers understand.
//
// A message that is malformed or does not fit its kind is parked, where Client.Parked finds it, and acknowledged: it
// would not become better by coming again. A message that nobody here understands, or whose kind is not registered
// here, may be meant for a newer version of the program that is just being rolled out. If the queue tells how often it
// delivered the message it is therefore given back four times, for 5 to 40 seconds, to be received by another instance
// perhaps; the fifth time, or if the queue does not tell, it is parked too.
func (rt *Runtime) Accept(ctx context.Context, in Incoming) Outcome {
	if err := rt.open(); err != nil {
		return rt.givenBack(outcomeOf(err))
	}
	asked := rt.reg.read(Foreign{Body: in.Body, Metadata: in.Metadata, MessageID: in.MessageID}, 0)
	ctx, span := rt.acceptSpan(ctx, in, asked)
	out := rt.accept(ctx, in, asked)
	rt.endSpan(span, out.Err)
	return out
}

// accept does what a message asks for.
func (rt *Runtime) accept(ctx context.Context, in Incoming, asked asked) Outcome {
	if asked.unknown != nil && in.Deliveries > 0 && in.Deliveries <= len(giveBack) {
		return rt.givenBack(Outcome{Verdict: Retry, After: giveBack[in.Deliveries-1], Err: asked.unknown})
	}
	first, err := rt.submitAsked(ctx, asked.requests)
	if err != nil && outcomeOf(err).Verdict != Drop && !errors.Is(err, pubsubq.ErrMalformed) {
		return rt.givenBack(outcomeOf(err))
	}
	out := Outcome{Verdict: Ack, JobID: first}
	if reason := errors.Join(asked.unknown, asked.refused, err); reason != nil {
		out = rt.parked(ctx, SubmitQueue, in.Body, in.Metadata, in.MessageID, reason)
		out.JobID = first
	} else if len(asked.requests) == 0 {
		rt.stats.Ignored.Add(1)
		rt.log.LogAttrs(ctx, levelDebug, "message is of no interest to the trigger that knows it", queueAttr(SubmitQueue),
			idAttr(in.MessageID))
	}
	return out
}

// giveBack is for how long a message that nobody here understands is given back, by the number of its delivery. Queues
// that put messages aside by themselves do so after five deliveries or more.
var giveBack = []time.Duration{5 * time.Second, 10 * time.Second, 20 * time.Second, 40 * time.Second}

func (rt *Runtime) givenBack(out Outcome) Outcome {
	rt.count(out)
	return out
}

// asked is what a message asks for.
type asked struct {
	requests []request
	refused  error // parts of it that cannot become jobs
	unknown  error // parts of it that nobody here understands, but others may
}

// read finds out what a message asks for. It has no effects.
func (r *Registry) read(m Foreign, depth int) asked {
	own, err := pubsubq.ParseSubmission(m.Body, m.Metadata)
	if err == nil && r.has(own.Kind) {
		return asked{requests: keyed(m, ownRequest(own))}
	}
	if e, ok, err := pubsubq.ParseEvent(m.Body, m.Metadata); ok && err != nil {
		return asked{refused: err}
	} else if ok {
		m.Event = &e
	}
	if depth < maxEnvelopes {
		if parts := r.unfold(m); parts != nil {
			var all asked
			for _, p := range parts {
				a := r.read(p, depth+1)
				all.requests = append(all.requests, a.requests...)
				all.refused, all.unknown = errors.Join(all.refused, a.refused), errors.Join(all.unknown, a.unknown)
			}
			return all
		}
	}
	if err != nil && r.meantForUs(m) {
		return asked{refused: err}
	}
	if err == nil {
		if _, err = r.kind(own.Kind); m.Event == nil && CheckKind(own.Kind) == nil {
			return asked{unknown: err}
		}
	}
	return r.readForeign(m, err)
}

// readForeign asks the triggers. ours is why the message is none in our own form.
func (r *Registry) readForeign(m Foreign, ours error) asked {
	for _, t := range r.asked() {
		if t.form == formObject && m.objects == nil {
			m.objects = notified(&m)
		}
	}
	requests, mine, tried, err := r.offer(&m)
	switch {
	case err != nil:
		return asked{refused: err}
	case mine:
		return r.known(keyed(m, requests...))
	case len(tried) > 0:
		ours = fmt.Errorf("%w; and it belongs to none of the triggers: %s", ours, strings.Join(tried, ", "))
	}
	return asked{unknown: ours}
}

// known sorts out jobs of kinds that are not registered here. Only functions of the user's can ask for them.
func (r *Registry) known(requests []request) asked {
	var a asked
	for _, q := range requests {
		if _, err := r.kind(q.Kind); err != nil {
			a.unknown = errors.Join(a.unknown, err)
			continue
		}
		a.requests = append(a.requests, q)
	}
	return a
}

// meantForUs reports whether a message that cannot be read as a submission was meant to be one: it names a kind that is
// registered here.
func (r *Registry) meantForUs(m Foreign) bool {
	if m.Event != nil {
		return r.has(m.Event.Type)
	}
	var fields map[string]json.RawMessage
	var kind string
	return json.Unmarshal(m.Body, &fields) == nil && json.Unmarshal(fields["kind"], &kind) == nil && r.has(kind)
}

// ownRequest is the job that a submission in our own form asks for.
func ownRequest(sub pubsubq.Submission) request {
	opts := []SubmitOption{Tags(sub.Tags...), After(sub.Delay), traced(sub.Trace)}
	if sub.Key != "" {
		opts = append(opts, Key(sub.Key))
	}
	if !sub.At.IsZero() {
		opts = append(opts, At(sub.At))
	}
	if sub.Queue != "" {
		opts = append(opts, Queue(sub.Queue))
	}
	if sub.Held {
		opts = append(opts, Held())
	}
	if sub.MaxAttempts != nil {
		opts = append(opts, MaxAttempts(*sub.MaxAttempts))
	}
	args := sub.Args
	if len(args) == 0 {
		args = json.RawMessage("null")
	}
	return request{Submission: Submission{Kind: sub.Kind, Args: args, Options: opts}, trace: sub.Trace}
}

// keyed gives the jobs of a message keys of its id. One that has a key of its own keeps it.
func keyed(m Foreign, requests ...request) []request {
	if m.MessageID == "" {
		return requests
	}
	for i := range requests {
		key := "message/" + m.MessageID
		if len(requests) > 1 {
			key += "/" + strconv.Itoa(i)
		}
		requests[i].Options = append([]SubmitOption{Key(shortKey("message", key))}, requests[i].Options...)
	}
	return requests
}

// submitAsked submits what a message asks for. It returns the first job's id, and what went wrong: that the store does
// not answer before anything else, because then the message must come again.
func (rt *Runtime) submitAsked(ctx context.Context, requests []request) (first string, err error) {
	receipts := make([]Receipt, len(requests))
	switch len(requests) {
	case 0:
	case 1:
		r := requests[0]
		receipts[0], receipts[0].Err = rt.submit(ctx, r.Kind, r.Args, r.Options)
	default:
		subs := make([]Submission, len(requests))
		for i, r := range requests {
			subs[i] = r.Submission
		}
		receipts, _ = rt.Client().SubmitMany(ctx, subs) // each receipt has its error
	}
	var refused []error
	for i, r := range receipts {
		first = cmp.Or(first, r.ID)
		switch {
		case r.Err == nil:
		case requests[i].once && errors.Is(r.Err, ErrKeyConflict):
			rt.stats.Existing.Add(1)
		case outcomeOf(r.Err).Verdict == Retry:
			return first, r.Err
		case len(requests) > 1:
			refused = append(refused, fmt.Errorf("job %d of %d: %w", i+1, len(requests), r.Err))
		default:
			refused = append(refused, r.Err)
		}
	}
	return first, errors.Join(refused...)
}

// Park puts a message aside that an adapter cannot read, where Client.Parked finds it, with the reason why.
func (rt *Runtime) Park(ctx context.Context, queue string, body []byte, metadata map[string]string, reason error) Outcome {
	return rt.parked(ctx, queue, body, metadata, "", reason)
}

// parked puts a message aside and acknowledges it: it would not become better by coming again.
func (rt *Runtime) parked(
	ctx context.Context, queue string, body []byte, metadata map[string]string, messageID string, reason error,
) Outcome {
	if err := rt.park(ctx, queue, body, metadata, messageID, reason); err != nil {
		return outcomeOf(err)
	}
	return Outcome{Verdict: Ack, Err: reason}
}

// park puts a message aside. Its id follows from the message, so that a redelivery parks it once.
func (rt *Runtime) park(
	ctx context.Context, queue string, body []byte, metadata map[string]string, messageID string, reason error,
) error {
	sum := sha256.Sum256(append([]byte(messageID+"\x00"), body...))
	p := store.Parked{
		ID: "parked-" + hex.EncodeToString(sum[:12]), At: rt.now(), Queue: queue,
		Reason: clipText(reason.Error(), store.MaxErrorText), Metadata: metadata,
	}
	if len(body) <= store.MaxInline {
		p.Body = body
	} else {
		part, err := rt.blobs.Park(ctx, p.ID, body)
		if err != nil {
			return err
		}
		b := asBlob(part)
		p.Blob = &b
	}
	if err := rt.store.Park(ctx, p); err != nil {
		return err
	}
	rt.stats.Parked.Add(1)
	rt.tel.park(ctx, queue)
	rt.log.LogAttrs(ctx, levelError, "message parked: nobody can read it", queueAttr(queue), idAttr(p.ID), errAttr(reason))
	return nil
}
