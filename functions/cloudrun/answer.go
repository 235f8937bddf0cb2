package cloudrun

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/piecework/piecework/functions/httpapi/wire"
)

// refuse answers with a problem, and logs it, because Pub/Sub shows its answers to no one.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, p *wire.Problem) {
	level := slog.LevelWarn
	if p.Status == http.StatusTooManyRequests || p.Status == http.StatusNotFound {
		level = slog.LevelInfo
	}
	s.log.LogAttrs(r.Context(), level, "request refused", slog.String("method", r.Method), slog.String("path", r.URL.Path),
		slog.String("from", r.RemoteAddr), slog.Int("status", p.Status), slog.String("why", p.Detail))
	s.send(w, r, p)
}

func (s *Server) send(w http.ResponseWriter, r *http.Request, p *wire.Problem) {
	h := w.Header()
	h.Set("Content-Type", wire.ProblemType)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	if p.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(p.RetryAfter))
	}
	w.WriteHeader(p.Status)
	if err := json.NewEncoder(w).Encode(p); err != nil {
		s.unsent(r, err)
	}
}

// refuseDraining refuses a request because the server shuts down.
func (s *Server) refuseDraining(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Connection", "close")
	p := wire.NewProblem(http.StatusServiceUnavailable, "this server shuts down; send the request again to reach another")
	p.Code, p.RetryAfter = "shut_down", 1
	s.send(w, r, p)
}

func (s *Server) unsent(r *http.Request, err error) {
	s.log.LogAttrs(r.Context(), slog.LevelDebug, "answer not sent", slog.String("path", r.URL.Path), slog.Any("error", err))
}
