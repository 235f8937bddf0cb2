package stall_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/piecework/piecework/functions/internal/stall"
)

// line is a listener with one connection.
type line struct {
	conns chan net.Conn
	done  chan struct{}
}

// Accept gives the connection, and then waits for the end.
func (l *line) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close ends the listener.
func (l *line) Close() error { close(l.done); return nil }

// Addr is none.
func (l *line) Addr() net.Addr { return &net.TCPAddr{} }

// connect serves one connection, and returns its other end.
func connect(t *testing.T, serve http.HandlerFunc) net.Conn {
	t.Helper()
	here, there := net.Pipe()
	l := &line{make(chan net.Conn, 1), make(chan struct{})}
	l.conns <- there
	server := &http.Server{Handler: serve, ReadHeaderTimeout: time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	t.Cleanup(func() {
		_ = server.Close()
		_ = here.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return here
}

// answer reads one, and reports its status, and whether the connection then ends.
func answer(t *testing.T, conn net.Conn) (status int, last bool) {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(2 * time.Hour)); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode, res.Close
}

const stalled = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345"

// The answer comes although the body does not, whether the handler waits for the body or not.
func TestACallerThatStandsStillIsAnswered(t *testing.T) {
	for name, serve := range map[string]http.HandlerFunc{
		"unread": func(w http.ResponseWriter, r *http.Request) {
			stall.Guard(w, r, 30*time.Second)
			w.WriteHeader(http.StatusUnauthorized)
		},
		"read": func(w http.ResponseWriter, r *http.Request) {
			stall.Guard(w, r, 30*time.Second)
			if _, err := io.ReadAll(r.Body); errors.Is(err, os.ErrDeadlineExceeded) {
				w.WriteHeader(http.StatusUnauthorized)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				conn := connect(t, serve)
				begin := time.Now()
				fmt.Fprint(conn, stalled)
				if status, last := answer(t, conn); status != http.StatusUnauthorized || !last {
					t.Errorf("status %d; the connection ends: %t", status, last)
				}
				if took := time.Since(begin); took != 30*time.Second {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

// Once the body is there the handler has all the time it needs, and so has one whose request has no body; and the next
// request on the connection has the same.
func TestABodyThatComesHasNoDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := connect(t, func(w http.ResponseWriter, r *http.Request) {
			stall.Guard(w, r, 30*time.Second)
			if text, err := io.ReadAll(r.Body); err != nil || len(text)%10 != 0 {
				t.Errorf("io.ReadAll: got %q, %v, want no error && len(text) %% 10 == 0", text, err)
			}
			time.Sleep(time.Hour)
			if r.Context().Err() != nil {
				t.Errorf("it is taken for a caller that went away: %v", context.Cause(r.Context()))
			}
		})
		for range 2 {
			for _, text := range []string{stalled + "67890", "POST / HTTP/1.1\r\nHost: x\r\n\r\n"} {
				fmt.Fprint(conn, text)
				if status, last := answer(t, conn); status != http.StatusOK || last {
					t.Errorf("status %d; the connection ends: %t", status, last)
				}
			}
		}
	})
}
