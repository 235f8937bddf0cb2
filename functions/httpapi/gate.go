package httpapi

import (
	"context"
	"net/http"
	"time"
)

// gate lets so many requests in at once, and so many more wait for their turn.
type gate struct{ inside, outside chan struct{} }

func newGate(inside, outside int) gate {
	return gate{make(chan struct{}, inside), make(chan struct{}, outside)}
}

// enter reports whether the request is in, for which it may wait so long. A request that is in must leave.
func (g gate) enter(ctx context.Context, patience time.Duration) bool {
	select {
	case g.inside <- struct{}{}:
		return true
	default:
	}
	select {
	case g.outside <- struct{}{}:
		defer func() { <-g.outside }()
	default:
		return false
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case g.inside <- struct{}{}:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

func (g gate) leave() { <-g.inside }

// The pieces in which a long answer is written, and how long the other side may take to read one.
const (
	piece     = 64 << 10
	pieceTime = 10 * time.Second
)

// paced writes a long answer in pieces, so that a reader that stands still does not keep it in memory for as long as the
// whole answer may take, which is until end.
type paced struct {
	http.ResponseWriter

	end time.Time
}

// Write writes piece by piece.
func (w *paced) Write(p []byte) (int, error) {
	written := 0
	for len(p) > 0 {
		deadline(w.ResponseWriter, min(pieceTime, time.Until(w.end)))
		n, err := w.ResponseWriter.Write(p[:min(len(p), piece)])
		if written += n; err != nil {
			return written, err //nolint:wrapcheck // passed through
		}
		p = p[n:]
	}
	return written, nil
}

// Unwrap gives http.ResponseController the writer that knows deadlines.
func (w *paced) Unwrap() http.ResponseWriter { return w.ResponseWriter }
