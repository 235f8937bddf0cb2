package lambda

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/internal/suggest"
)

// Sweep returns the handler that sweeps. EventBridge Scheduler or a rule calls it, whose events it
// takes as they are. Other callers may send JSON with
//
//	part, parts   to divide the work: {"part":0,"parts":4} is the first quarter of it
//	limit         how many records to process, at most
//	for           how long to go on, as in "30s"; it ends before the function's timeout
//
// It answers with the functions.SweepResult. More says that the time was up. The next sweep goes on
// there, because records that were processed are not due any more.
func Sweep(rt *functions.Runtime, o *Options) (Handler, error) {
	opts, err := o.withDefaults(rt)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, payload json.RawMessage) (any, error) {
		req, err := sweepRequest(payload)
		if err != nil {
			return nil, err
		}
		if deadline, ok := ctx.Deadline(); ok {
			left := deadline.Sub(rt.Config().Now())
			if left -= 2 * reserve(left); left <= 0 {
				return nil, errNoTime
			}
			if req.For == 0 || req.For > left {
				req.For = left
			}
		}
		soon, cancel := early(ctx, rt)
		defer cancel()
		result, err := rt.Sweep(soon, req)
		if err != nil {
			return nil, fmt.Errorf("sweep, after %d records: %w", result.Looked, err)
		}
		level := slog.LevelDebug
		if result.Looked > 0 {
			level = slog.LevelInfo
		}
		opts.Log.LogAttrs(ctx, level, "swept", slog.Any("result", result))
		return result, nil
	}, nil
}

// sweepRequest reads the event of a sweep.
func sweepRequest(payload json.RawMessage) (functions.SweepRequest, error) {
	var req functions.SweepRequest
	fields := map[string]json.RawMessage{}
	if payload = bytes.TrimSpace(payload); len(payload) == 0 || string(payload) == "null" {
		return req, nil
	}
	if err := json.Unmarshal(payload, &fields); err != nil {
		return req, wrongEvent("sweep", payload)
	}
	if fields["Records"] != nil || fields["requestContext"] != nil {
		return req, wrongEvent("sweep", payload)
	}
	if fields["detail-type"] != nil && fields["source"] != nil {
		return req, nil // an event of EventBridge says nothing more
	}
	var length string
	known := map[string]any{"part": &req.Part, "parts": &req.Parts, "limit": &req.Limit, "for": &length}
	names := slices.Sorted(maps.Keys(known))
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		into, ok := known[name]
		if !ok {
			return req, errors.New("sweep: " + suggest.Unknown("field", name, names))
		}
		if err := decodeOne(fields[name], into); err != nil {
			return req, fmt.Errorf("sweep: field %q is %.40s: want %s", name, fields[name], wantOf(name))
		}
	}
	if length != "" {
		var err error
		if req.For, err = time.ParseDuration(length); err != nil || req.For <= 0 {
			return req, fmt.Errorf("sweep: field \"for\" is %.40q: want %s", length, wantOf("for"))
		}
	}
	if req.Part < 0 || req.Parts < 0 || req.Limit < 0 || req.Part >= max(req.Parts, 1) {
		return req, fmt.Errorf("sweep: part %d of %d parts, limit %d: want part from 0 to parts-1, and no negative number", req.Part, req.Parts, req.Limit)
	}
	return req, nil
}

// decodeOne reads a value that must be there.
func decodeOne(raw json.RawMessage, into any) error {
	if string(bytes.TrimSpace(raw)) == "null" {
		return io.ErrUnexpectedEOF
	}
	return json.Unmarshal(raw, into)
}

func wantOf(field string) string {
	if field == "for" {
		return `a duration such as "30s"`
	}
	return "a whole number"
}
