package functions

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
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
	if err := rt.checkOpen(); err != nil {
		return rt.noteOutcome(ctx, outcomeOf(err))
	}
	asked, err := rt.ask(ctx, Foreign{Body: in.Body, Metadata: in.Metadata, MessageID: in.MessageID})
	if err != nil {
		return rt.noteOutcome(ctx, outcomeOf(err))
	}
	ctx, span := rt.acceptSpan(ctx, in, asked)
	out := rt.accept(ctx, in, asked)
	rt.endSpan(span, out.Err)
	return out
}

// ask finds out what a message asks for. An error says nothing of the message; it may be tried again.
func (rt *Runtime) ask(ctx context.Context, m Foreign) (asked, error) {
	a, err := guarded(ctx, rt, "", rt.cfg.HookTimeout, func(context.Context) (asked, error) { return rt.reg.read(m, 0), nil })
	if err = blame("message", err); err != nil && !errors.Is(err, ErrInvalid) {
		return asked{}, err
	}
	a.refused = errors.Join(a.refused, err)
	return a, nil
}

// accept does what a message asks for.
func (rt *Runtime) accept(ctx context.Context, in Incoming, asked asked) Outcome {
	if asked.unknown != nil && in.Deliveries > 0 && in.Deliveries <= len(returnAfter) {
		return rt.noteOutcome(ctx, Outcome{Verdict: Retry, After: returnAfter[in.Deliveries-1], Err: asked.unknown})
	}
	first, err := rt.submitAll(ctx, asked.requests)
	if err != nil && outcomeOf(err).Verdict != Drop && !errors.Is(err, pubsubq.ErrMalformed) {
		return rt.noteOutcome(ctx, outcomeOf(err))
	}
	out := Outcome{Verdict: Ack, JobID: first}
	if reason := errors.Join(asked.unknown, asked.refused, err); reason != nil {
		out = rt.parkOutcome(ctx, SubmitQueue, in.Body, in.Metadata, in.MessageID, reason)
		out.JobID = first
	} else if len(asked.requests) == 0 {
		rt.stats.Ignored.Add(1)
		rt.log.LogAttrs(ctx, levelDebug, "message is of no interest to the trigger that knows it", queueAttr(SubmitQueue),
			idAttr(in.MessageID))
	}
	return out
}

// returnAfter is for how long a message that nobody here understands is given back, by the number of its delivery. Queues
// that put messages aside by themselves do so after five deliveries or more.
var returnAfter = []time.Duration{5 * time.Second, 10 * time.Second, 20 * time.Second, 40 * time.Second}

func (rt *Runtime) noteOutcome(ctx context.Context, out Outcome) Outcome {
	rt.count(ctx, out)
	return out
}

// submitAll submits what a message asks for. It returns the first job's id, and what went wrong: that the store does
// not answer before anything else, because then the message must come again.
func (rt *Runtime) submitAll(ctx context.Context, requests []request) (first string, err error) {
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

// ReadHint reads a message of a queue of jobs, which names the record of a job. Every error is pubsubq.ErrMalformed: such
// a message is to be parked.
func ReadHint(body []byte, metadata map[string]string) (pubsubq.Message, error) {
	m, err := pubsubq.DecodeMessage(body, metadata)
	if err != nil {
		return m, err
	}
	if err := store.CheckID(m.ID); err != nil {
		return m, fmt.Errorf("%w: %w", pubsubq.ErrMalformed, err)
	}
	return m, nil
}

// Park puts a message aside that an adapter cannot read, where Client.Parked finds it, with the reason why.
func (rt *Runtime) Park(ctx context.Context, queue string, body []byte, metadata map[string]string, reason error) Outcome {
	return rt.parkOutcome(ctx, queue, body, metadata, "", reason)
}

// parkOutcome puts a message aside and acknowledges it: it would not become better by coming again.
func (rt *Runtime) parkOutcome(
	ctx context.Context, queue string, body []byte, metadata map[string]string, messageID string, reason error,
) Outcome {
	if err := rt.park(ctx, queue, body, metadata, messageID, reason); err != nil {
		out := outcomeOf(err)
		if out.Verdict != Retry { // a message that is not parked must not be lost
			out.Verdict, out.After = Retry, returnAfter[0]
		}
		return out
	}
	return Outcome{Verdict: Ack, Err: reason}
}

// fitMetadata returns as much of a message's metadata as a record can hold beside the body: brokers differ in how much they
// take.
func fitMetadata(metadata map[string]string) map[string]string {
	if len(metadata) == 0 {
		return nil
	}
	kept, room := make(map[string]string, len(metadata)), store.MaxInline
	for _, name := range slices.Sorted(maps.Keys(metadata)) {
		value := metadata[name]
		if len(name)+len(value) > room {
			value = clipText(value, 200)
		}
		if len(name)+len(value) <= room {
			kept[name] = value
			room -= len(name) + len(value)
		}
	}
	return kept
}

// park puts a message aside. Its id follows from the message, so that a redelivery parks it once.
func (rt *Runtime) park(
	ctx context.Context, queue string, body []byte, metadata map[string]string, messageID string, reason error,
) error {
	sum := sha256.Sum256(append([]byte(messageID+"\x00"), body...))
	p := store.Parked{
		ID: store.ParkedPrefix + hex.EncodeToString(sum[:12]), At: rt.now(), Queue: queue, Message: messageID,
		Reason: clipText(reason.Error(), store.MaxErrorText), Metadata: fitMetadata(metadata),
	}
	if keep := rt.cfg.ParkedRetention; keep > 0 {
		p.Due = p.At.Add(keep)
	}
	if len(body) <= store.MaxInline {
		p.Body = body
	} else {
		part, err := rt.blobs.Park(ctx, p.ID, rt.token(), body)
		if err != nil {
			return err
		}
		b := asBlob(part)
		p.Blob = &b
	}
	there, err := rt.store.Park(ctx, p)
	switch {
	case errors.Is(err, store.ErrCorrupt), errors.Is(err, store.ErrNewerRecord): // it is parked, and to be found
	case err != nil:
		return err
	case p.Blob != nil && (there.Blob == nil || there.Blob.Key != p.Blob.Key): // an earlier delivery's body is listed
		if err := rt.blobs.Remove(ctx, asPart(*p.Blob)); err != nil {
			return err
		}
	}
	rt.stats.Parked.Add(1)
	rt.tel.park(ctx, queue)
	rt.log.LogAttrs(ctx, levelError, "message parked: nobody can read it",
		append([]slog.Attr{queueAttr(queue), idAttr(p.ID)}, troubleAttrs(reason)...)...)
	return nil
}
