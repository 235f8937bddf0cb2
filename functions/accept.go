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

	"go.opentelemetry.io/otel/trace"

	"github.com/piecework/piecework/functions/internal/telemetry"
	"github.com/piecework/piecework/pubsubq"
	"github.com/piecework/piecework/store"
)

// SubmitQueue is the queue on which jobs are submitted by message.
const SubmitQueue = "submit"

// Incoming is a message of the submit queue, as an adapter received it.
type Incoming struct {
	Body     []byte
	Metadata map[string]string
	// MessageID is the broker's id of the message. It must stay the same when the message is
	// delivered again, and must never be used for another message. "" if there is no such id. A
	// submission without a key is keyed by it, so that a message that is delivered twice makes one
	// job.
	MessageID string
	// Deliveries is how often the queue has delivered the message, this time included. 0 if the
	// queue has no delivery count or cannot redeliver.
	Deliveries int
}

// Submit is Accept of a message without a delivery count.
func (rt *Runtime) Submit(ctx context.Context, body []byte, metadata map[string]string, messageID string) Outcome {
	return rt.Accept(ctx, Incoming{Body: body, Metadata: metadata, MessageID: messageID})
}

// Accept is the first of the three functions: it makes jobs of a message of the submit queue. The
// message is in our JSON form, or a CloudEvent whose type is a kind, or a message that a trigger of
// the registry understands.
//
// A message that is malformed or does not fit its kind is parked, where Client.Parked finds it, and
// acknowledged: another delivery would not help. A message that no trigger understands, or whose
// kind is not registered, may be meant for a newer version of the program that is being rolled out.
// If the queue counts deliveries, the message is given back four times, for 5 to 40 seconds, so
// that another instance may receive it. The fifth time, or without a count, it is parked too.
func (rt *Runtime) Accept(ctx context.Context, in Incoming) Outcome {
	if err := rt.checkOpen(); err != nil {
		return rt.noteOutcome(ctx, outcomeOf(err))
	}
	asked, err := rt.ask(ctx, Message{Body: in.Body, Metadata: in.Metadata, MessageID: in.MessageID})
	if err != nil {
		return rt.noteOutcome(ctx, outcomeOf(err))
	}
	ctx, span := rt.startAccept(ctx, in, asked)
	out := rt.accept(ctx, in, asked)
	rt.tel.End(span, out.Err)
	return out
}

// startAccept begins the span of a message, in the trace of its job if it asks for one job.
func (rt *Runtime) startAccept(ctx context.Context, in Incoming, a asked) (context.Context, trace.Span) {
	t := telemetry.Accept{Queue: SubmitQueue, MessageID: in.MessageID, Metadata: in.Metadata}
	if len(a.requests) == 1 {
		t.JobTrace = a.requests[0].trace
	}
	return rt.tel.StartAccept(ctx, t)
}

// ask reads what a message asks for. An error does not mean that the message is malformed: it may
// be tried again.
func (rt *Runtime) ask(ctx context.Context, m Message) (asked, error) {
	a, err := guarded(ctx, rt, "", rt.cfg.HookTimeout, func(context.Context) (asked, error) { return rt.reg.read(m, 0), nil })
	if err = blame("message", err); err != nil && !errors.Is(err, ErrInvalid) {
		return asked{}, err
	}
	a.refused = errors.Join(a.refused, err)
	return a, nil
}

// accept submits what a message asks for, or parks the message or gives it back.
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
		rt.log.LogAttrs(ctx, levelDebug, "message ignored: its trigger makes no job of it", queueAttr(SubmitQueue),
			idAttr(in.MessageID))
	}
	return out
}

// returnAfter is for how long a message that is not understood here is given back, by the number of
// its delivery. Queues with a dead-letter queue of their own move messages there after five
// deliveries or more.
var returnAfter = []time.Duration{5 * time.Second, 10 * time.Second, 20 * time.Second, 40 * time.Second}

func (rt *Runtime) noteOutcome(ctx context.Context, out Outcome) Outcome {
	rt.count(ctx, out)
	return out
}

// submitAll submits what a message asks for. It returns the first job's id and what went wrong. If
// the store does not answer, it returns that error alone, because then the message must come again.
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

// ReadHint reads a message of a queue of jobs, which names a job's record. Every error is
// pubsubq.ErrMalformed: the caller should park the message.
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

// Park parks a message that an adapter cannot read, with the reason. Client.Parked finds it.
func (rt *Runtime) Park(ctx context.Context, queue string, body []byte, metadata map[string]string, reason error) Outcome {
	return rt.parkOutcome(ctx, queue, body, metadata, "", reason)
}

// parkOutcome parks a message and acknowledges it, because another delivery would not help.
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

// fitMetadata returns as much of a message's metadata as a record can hold beside the body. Some
// brokers allow more.
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

// park stores a message that could not be made jobs. Its id is a hash of the message, so that a
// redelivery parks it once.
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
	case errors.Is(err, store.ErrCorrupt), errors.Is(err, store.ErrNewerRecord): // an earlier delivery parked it
	case err != nil:
		return err
	case p.Blob != nil && (there.Blob == nil || there.Blob.Key != p.Blob.Key): // an earlier delivery's body is listed
		if err := rt.blobs.Remove(ctx, asPart(*p.Blob)); err != nil {
			return err
		}
	}
	rt.stats.Parked.Add(1)
	rt.tel.CountParked(ctx, queue)
	rt.log.LogAttrs(ctx, levelError, "message parked: it could not be made a job",
		append([]slog.Attr{queueAttr(queue), idAttr(p.ID)}, troubleAttrs(reason)...)...)
	return nil
}
