package rabbit

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// How long a broker may take to answer the dial, and how often it must be heard of later.
const (
	dialTimeout = 10 * time.Second
	heartbeat   = 10 * time.Second
)

// line is a connection that is dialled when it is first needed, and again when it was lost.
type line struct {
	url string

	mu     sync.Mutex
	conn   *amqp.Connection
	closed bool
}

var errClosed = errors.New("connection is closed")

// get returns a connection that is alive as far as is known.
func (l *line) get(ctx context.Context) (*amqp.Connection, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, errClosed
	}
	if l.conn != nil && !l.conn.IsClosed() {
		return l.conn, nil
	}
	conn, err := amqp.DialConfig(l.url, amqp.Config{
		Heartbeat: heartbeat, TLSClientConfig: tlsConfig(),
		Properties: amqp.Table{"connection_name": "piecework", "product": "piecework"},
		Dial: func(network, addr string) (net.Conn, error) {
			c, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			// For the handshake; the library takes it off when heartbeats begin.
			return c, c.SetDeadline(time.Now().Add(dialTimeout))
		},
	})
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err) // the library's errors do not hold the password
	}
	l.conn = conn
	return conn, nil
}

// close closes the connection for good.
func (l *line) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.conn == nil || l.conn.IsClosed() {
		return nil
	}
	err := l.conn.CloseDeadline(time.Now().Add(dialTimeout))
	if _, ended := errors.AsType[*amqp.Error](err); ended && l.conn.IsClosed() {
		return nil // the server ended the connection first, because a channel was closing at that moment
	}
	return err
}
