package gcp

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"gocloud.dev/docstore"
	"gocloud.dev/gcerrors"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/piecework/piecework/infra/drivers"
)

// refusing is a server that answers all with one code, and counts.
func refusing(t *testing.T, code codes.Code) func() int {
	t.Helper()
	var mu sync.Mutex
	var n int
	server := grpc.NewServer(grpc.UnknownServiceHandler(func(any, grpc.ServerStream) error {
		mu.Lock()
		defer mu.Unlock()
		n++
		return status.Error(code, "no")
	}))
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(server.Stop)
	t.Setenv(emulator, l.Addr().String())
	return func() int {
		mu.Lock()
		defer mu.Unlock()
		was := n
		n = 0
		return was
	}
}

func TestWhatFirestoreRefusesIsLeftToTheStore(t *testing.T) {
	for code, want := range map[codes.Code]gcerrors.ErrorCode{
		codes.ResourceExhausted: gcerrors.ResourceExhausted, codes.Unavailable: gcerrors.Unknown, codes.Aborted: gcerrors.Unknown,
	} {
		t.Run(code.String(), func(t *testing.T) {
			asked := refusing(t, code)
			coll, closeStore, err := drivers.New(Register).OpenStore(t.Context(), "firestore://p/jobs")
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = closeStore() }()
			type record struct {
				ID    string `docstore:"id"`
				DuePK string `docstore:"due_pk"`
				Rev   any    `docstore:"rev"`
			}
			query := func() error {
				it := coll.Query().Where("due_pk", "=", "x").Limit(1).Get(t.Context())
				defer it.Stop()
				return it.Next(t.Context(), &record{})
			}
			for what, call := range map[string]func() error{
				"create": func() error { return coll.Create(t.Context(), &record{ID: "a"}) },
				"update": func() error { return coll.Update(t.Context(), &record{ID: "a"}, docstore.Mods{"due_pk": "x"}) },
				"delete": func() error { return coll.Delete(t.Context(), &record{ID: "a"}) },
				"get":    func() error { return coll.Get(t.Context(), &record{ID: "a"}) },
				"query":  query,
			} {
				if err, n := call(), asked(); gcerrors.Code(err) != want || n != 1 {
					t.Errorf("%s was asked for %d times; error %v, want code %v", what, n, err, want)
				}
			}
		})
	}
}

// silent is a stream on which nothing comes.
type silent struct {
	grpc.ClientStream

	ctx context.Context
}

func (s silent) RecvMsg(any) error {
	<-s.ctx.Done()
	return s.ctx.Err()
}

func TestNoRequestLastsForever(t *testing.T) {
	start := time.Now()
	var inner context.Context
	s, err := boundStream(t.Context(), nil, nil, "", func(ctx context.Context, _ *grpc.StreamDesc, _ *grpc.ClientConn, _ string, _ ...grpc.CallOption) (grpc.ClientStream, error) {
		inner = ctx //nolint:fatcontext // kept to look at it
		ctx, cancel := context.WithCancel(ctx)
		cancel() // as if its time had come
		return silent{ctx: ctx}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if at, ok := inner.Deadline(); !ok || at.Before(start.Add(callTime)) || at.After(time.Now().Add(callTime)) {
		t.Errorf("a stream has until %v, %v", at, ok)
	}
	if err := s.RecvMsg(nil); err == nil || inner.Err() == nil {
		t.Errorf("error %v; its timer still runs", err)
	}
	errNo := errors.New("no")
	_, err = boundStream(t.Context(), nil, nil, "", func(ctx context.Context, _ *grpc.StreamDesc, _ *grpc.ClientConn, _ string, _ ...grpc.CallOption) (grpc.ClientStream, error) {
		inner = ctx //nolint:fatcontext // kept to look at it
		return nil, errNo
	})
	if !errors.Is(err, errNo) || inner.Err() == nil {
		t.Errorf("error %v; its timer still runs", err)
	}
	err = boundCall(t.Context(), "", nil, nil, nil, func(ctx context.Context, _ string, _, _ any, _ *grpc.ClientConn, _ ...grpc.CallOption) error {
		if _, ok := ctx.Deadline(); !ok {
			t.Error("a request has no deadline")
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
