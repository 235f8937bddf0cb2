package rabbitpubsub

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

const (
	// dialTime is how long a broker may take to answer a dial or the closing of a connection.
	dialTime = 10 * time.Second
	// heartbeat is the longest silence of a broker that lives.
	heartbeat = 10 * time.Second
)

// Conn is a connection that topics and subscriptions share. All methods may be called concurrently.
type Conn struct {
	url    string
	config amqp.Config

	mu     sync.Mutex
	conn   *amqp.Connection
	closed bool
}

var errClosed = errors.New("connection is closed")

// NewConn returns a connection to a URL as amqp.ParseURI takes it. It is dialled on first use, and
// again by the next Get after it was lost. Zero fields of config get the package's defaults: a
// heartbeat of 10 seconds and TLS 1.2 or newer.
func NewConn(url string, config amqp.Config) *Conn {
	config.Heartbeat = cmp.Or(config.Heartbeat, heartbeat)
	if config.TLSClientConfig == nil {
		config.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return &Conn{url: url, config: config}
}

// Get returns a connection that is not known to be lost. It dials if there is none.
func (c *Conn) Get(ctx context.Context) (*amqp.Connection, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, errClosed
	}
	if c.conn != nil && !c.conn.IsClosed() {
		return c.conn, nil
	}
	config := c.config
	if config.Dial == nil {
		config.Dial = func(network, addr string) (net.Conn, error) {
			conn, err := (&net.Dialer{Timeout: dialTime}).DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			// For the handshake. The library removes the deadline when heartbeats begin.
			return conn, conn.SetDeadline(time.Now().Add(dialTime))
		}
	}
	conn, err := amqp.DialConfig(c.url, config)
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err) // the library's errors do not hold the password
	}
	c.conn = conn
	return conn, nil
}

// Close closes the connection. Later calls of Get fail. Close may be called twice.
func (c *Conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.conn == nil || c.conn.IsClosed() {
		return nil
	}
	err := c.conn.CloseDeadline(time.Now().Add(dialTime))
	if _, ended := errors.AsType[*amqp.Error](err); ended && c.conn.IsClosed() {
		return nil // the broker ended the connection first, because a channel was closing at that moment
	}
	return err
}
