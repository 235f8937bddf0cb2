package natspubsub

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// closeTime bounds the wait for a server to read what was sent to it.
const closeTime = 5 * time.Second

// Conn is a connection that topics and subscriptions share. All methods may be called concurrently.
type Conn struct {
	servers string
	opts    []nats.Option

	mu     sync.Mutex
	conn   *nats.Conn
	closed bool
}

var errClosed = errors.New("connection is closed")

// NewConn returns a connection to one of the servers, a list separated by commas as nats.Connect
// takes it. It is dialled on first use. The options are applied after the package's own.
func NewConn(servers string, opts ...nats.Option) *Conn {
	own := []nats.Option{
		nats.Timeout(5 * time.Second),
		nats.MaxReconnects(-1),    // no limit: a connection that gave up would never receive again
		nats.ReconnectBufSize(-1), // a publish while disconnected fails, instead of waiting unseen
		nats.PingInterval(15 * time.Second),
	}
	return &Conn{servers: servers, opts: append(own, opts...)}
}

// Get returns the open connection. It dials if there is none.
func (c *Conn) Get(context.Context) (*nats.Conn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, errClosed
	}
	if c.conn != nil && !c.conn.IsClosed() {
		return c.conn, nil
	}
	conn, err := nats.Connect(c.servers, c.opts...)
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	c.conn = conn
	return conn, nil
}

// Close closes the connection after the server has read all that was sent. Later calls of Get fail.
// Close may be called twice.
func (c *Conn) Close(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.conn == nil || c.conn.IsClosed() {
		return nil
	}
	_ = flush(ctx, c.conn) // a lost ack makes its message come again
	c.conn.Close()
	return nil
}

// flush waits until the server has read all that was sent. nats.go requires a deadline, which
// gocloud's contexts lack.
func flush(ctx context.Context, conn *nats.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, closeTime)
	defer cancel()
	return conn.FlushWithContext(ctx)
}
