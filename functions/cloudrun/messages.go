package cloudrun

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/httpapi/wire"
)

// readTime is how long the body of a request may take to come, whether it is read or refused.
const readTime = 30 * time.Second

// messages is a route that takes messages: open takes a message out of the request, handle handles
// it. At most as many as slots has room for are handled at once. A refused message comes again,
// perhaps to another instance.
func (s *Server) messages(
	slots chan struct{}, open func([]byte, http.Header) (delivery, error), handle func(context.Context, delivery) functions.Outcome,
) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		end := time.Now().Add(s.opts.Timeout)
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
		default:
			p := wire.NewProblem(http.StatusTooManyRequests, fmt.Sprintf("%d messages are being handled, which is the limit", cap(slots)))
			p.RetryAfter = 1
			s.refuse(w, r, p)
			return
		}
		body, refused := s.read(w, r)
		if refused != nil {
			s.refuse(w, r, refused)
			return
		}
		ctx, cancel := s.until(r.Context(), end)
		defer cancel()
		d, err := open(body, r.Header)
		var out functions.Outcome
		if err != nil {
			out = s.rt.Park(ctx, lastPart(r.URL.Path), body, attributes(r.Header), err)
		} else {
			out = handle(ctx, d)
		}
		s.answer(w, r, d, out)
	}
}

// until returns the context for handling a request. It does not end when the caller goes away: the
// job's lease is held, and a second delivery of the message finds the lease and is dropped.
func (s *Server) until(parent context.Context, end time.Time) (context.Context, func()) {
	ctx, cancel := context.WithDeadline(context.WithoutCancel(parent), end)
	detach := context.AfterFunc(s.work, cancel)
	return ctx, func() { detach(); cancel() }
}

// read reads the body.
func (s *Server) read(w http.ResponseWriter, r *http.Request) ([]byte, *wire.Problem) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.opts.MaxBody))
	if err == nil {
		return body, nil
	}
	if long, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, wire.NewProblem(http.StatusRequestEntityTooLarge, fmt.Sprintf("the message is longer than %d bytes; "+
			"put large data into a blob and send its key", long.Limit))
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, wire.NewProblem(http.StatusRequestTimeout, fmt.Sprintf("the message did not come within %v", readTime))
	}
	return nil, wire.NewProblem(http.StatusBadRequest, "the message broke off: "+err.Error())
}

// submit makes a job of a message.
func (s *Server) submit(ctx context.Context, d delivery) functions.Outcome {
	return s.rt.Accept(ctx, functions.Incoming{Body: d.body, Metadata: d.metadata, MessageID: d.id, Deliveries: d.deliveries})
}

// handshake agrees to receive a sender's CloudEvents, as some senders ask before the first
// (CloudEvents 1.0, HTTP 1.1 Web Hooks, section 4). A caller that may ask may send.
func (s *Server) handshake(w http.ResponseWriter, r *http.Request) {
	sender := r.Header.Get("Webhook-Request-Origin")
	if sender == "" {
		s.refuse(w, r, wire.NewProblem(http.StatusBadRequest, "OPTIONS asks for permission to send events and needs the header WebHook-Request-Origin"))
		return
	}
	header := w.Header()
	header.Set("Allow", http.MethodPost)
	header.Set("Webhook-Allowed-Origin", sender)
	header.Set("Webhook-Allowed-Rate", "*")
	w.WriteHeader(http.StatusOK)
}

// execute runs the job that a message names.
func (s *Server) execute(ctx context.Context, d delivery) functions.Outcome {
	msg, err := functions.ReadHint(d.body, d.metadata)
	if err != nil {
		from := d.from
		if from == "" {
			from = "execute"
		}
		return s.rt.Park(ctx, from, d.body, d.metadata, err)
	}
	return s.rt.Execute(ctx, msg)
}

// answer answers with what became of a message: 204 if it has done its work or is of no use, 503 if
// it must come again. Any error status would do: Pub/Sub sends a message again that is not
// acknowledged.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, d delivery, out functions.Outcome) {
	attrs := []slog.Attr{
		slog.String("path", r.URL.Path), slog.String("message", d.id), slog.String("job", out.JobID), slog.String("verdict", out.Verdict.String()),
	}
	if out.Err != nil {
		attrs = append(attrs, slog.Any("error", out.Err))
	}
	if out.Verdict != functions.Retry {
		s.log.LogAttrs(r.Context(), slog.LevelDebug, "message handled", attrs...)
		w.WriteHeader(http.StatusNoContent)
		return
	}
	s.log.LogAttrs(r.Context(), slog.LevelWarn, "message must come again", attrs...)
	p := wire.NewProblem(http.StatusServiceUnavailable, "the message could not be handled now, and should be sent again; the log says why")
	p.Code, p.RetryAfter = functions.ErrorCode(out.Err), int((max(out.After, time.Second)+time.Second-1)/time.Second)
	s.send(w, r, p)
}
