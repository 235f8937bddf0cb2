package nats

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"gocloud.dev/gcerrors"
	"gocloud.dev/pubsub/driver"
)

// line is the connection that all lanes share. It is dialled when it is first needed; then the library dials again for
// as long as it takes.
type line struct {
	dial

	log    *slog.Logger
	mu     sync.Mutex
	conn   *nats.Conn
	closed bool
}

var errClosed = errors.New("connection is closed")

// asConn is what As of a driver is asked for.
func asConn(conn *nats.Conn, i any) bool {
	p, ok := i.(**nats.Conn)
	if ok {
		*p = conn
	}
	return ok
}

// get returns the connection.
func (l *line) get(context.Context) (*nats.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, errClosed
	}
	if l.conn != nil && !l.conn.IsClosed() {
		return l.conn, nil
	}
	opts, err := l.options()
	if err != nil {
		return nil, err
	}
	conn, err := nats.Connect(l.servers, opts...)
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	l.conn = conn
	return conn, nil
}

func (l *line) options() ([]nats.Option, error) {
	opts := []nats.Option{
		nats.Name("piecework"),
		nats.Timeout(5 * time.Second),
		nats.MaxReconnects(-1),    // for ever: giving up would leave a worker deaf
		nats.ReconnectBufSize(-1), // a publish while disconnected fails, in place of being kept where nobody sees it
		nats.PingInterval(15 * time.Second),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				l.log.LogAttrs(context.Background(), slog.LevelWarn, "connection to NATS was lost; it is dialled again", slog.Any("error", err))
			}
		}),
	}
	if l.creds != "" {
		opts = append(opts, nats.UserCredentials(l.creds))
	}
	if l.nkey != "" {
		o, err := nats.NkeyOptionFromSeed(l.nkey)
		if err != nil {
			return nil, fmt.Errorf("nkey: %w", err)
		}
		opts = append(opts, o)
	}
	if l.ca != "" {
		opts = append(opts, nats.RootCAs(l.ca))
	}
	if l.cert != "" {
		opts = append(opts, nats.ClientCert(l.cert, l.key))
	}
	return opts, nil
}

// close closes the connection for good, after what was published has gone out.
func (l *line) close(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.conn == nil || l.conn.IsClosed() {
		return nil
	}
	_ = flush(ctx, l.conn) // acks; those that are lost make a message come again
	l.conn.Close()
	return nil
}

// flush waits until the server has all that was published. The library wants a deadline, which gocloud's contexts lack.
func flush(ctx context.Context, conn *nats.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return conn.FlushWithContext(ctx)
}

// outgoing is what BeforeSend sees of a message.
type outgoing struct {
	*nats.Msg

	delay time.Duration
}

// encode makes NATS's form of a message.
func encode(subject string, m *driver.Message) (*outgoing, error) {
	out := &outgoing{Msg: nats.NewMsg(subject)}
	out.Data = m.Body
	for k, v := range m.Metadata {
		out.Header.Set(k, v)
	}
	if m.BeforeSend == nil {
		return out, nil
	}
	err := m.BeforeSend(func(i any) bool {
		switch p := i.(type) {
		case **outgoing:
			*p = out
		case **nats.Msg:
			*p = out.Msg
		default:
			return false
		}
		return true
	})
	return out, err
}

// decode makes gocloud's form of a message.
func decode(id string, data []byte, header nats.Header, own, ack any) *driver.Message {
	m := &driver.Message{LoggableID: id, Body: data, AckID: ack, AsFunc: func(i any) bool {
		p, ok := i.(*any)
		if ok {
			*p = own
		}
		return ok
	}}
	for k, vs := range header {
		if len(vs) > 0 && !reserved(k) {
			if m.Metadata == nil {
				m.Metadata = map[string]string{}
			}
			m.Metadata[k] = vs[0]
		}
	}
	return m
}

// reserved tells NATS's own headers.
func reserved(name string) bool { return len(name) > 5 && name[:5] == "Nats-" }

// sent calls what wants to know that a message was sent.
func sent(m *driver.Message) error {
	if m.AfterSend == nil {
		return nil
	}
	return m.AfterSend(func(any) bool { return false })
}

func errorAs(error, any) bool { return false }

func errorCode(err error) gcerrors.ErrorCode {
	for code, causes := range map[gcerrors.ErrorCode][]error{
		gcerrors.Canceled:          {context.Canceled},
		gcerrors.DeadlineExceeded:  {context.DeadlineExceeded, nats.ErrTimeout},
		gcerrors.NotFound:          {nats.ErrNoResponders, nats.ErrStreamNotFound, nats.ErrConsumerNotFound},
		gcerrors.PermissionDenied:  {nats.ErrAuthorization, nats.ErrPermissionViolation},
		gcerrors.InvalidArgument:   {nats.ErrBadSubject, nats.ErrMaxPayload},
		gcerrors.ResourceExhausted: {nats.ErrReconnectBufExceeded, nats.ErrSlowConsumer},
	} {
		for _, c := range causes {
			if errors.Is(err, c) {
				return code
			}
		}
	}
	return gcerrors.Unknown
}
