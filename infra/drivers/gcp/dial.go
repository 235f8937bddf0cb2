package gcp

import (
	"context"
	"fmt"
	"os"
	"time"

	firestore "cloud.google.com/go/firestore/apiv1"
	"gocloud.dev/gcp"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// emulator names the variable that makes the library use an emulator.
const emulator = "FIRESTORE_EMULATOR_HOST"

// callTime is the most that one request to Firestore may take. A request answers in milliseconds;
// without a limit, a connection that has gone dead would hold a verb, and with it a lease, for as
// long as TCP likes.
const callTime = 10 * time.Second

// dial makes a client as gocloud does, but for how it repeats requests: not at all, where Google's
// own goes on for a minute with what was throttled, unseen. Package store waits, with jitter and
// longer each time, and counts how long. With both, a heartbeat that is tried again would outlast
// its lease.
func dial(ctx context.Context) (*firestore.Client, error) {
	opts := []option.ClientOption{option.WithUserAgent("piecework")}
	bounds := []grpc.DialOption{grpc.WithChainUnaryInterceptor(boundCall), grpc.WithChainStreamInterceptor(boundStream)}
	if host := os.Getenv(emulator); host != "" {
		conn, err := grpc.NewClient(host, append(bounds, grpc.WithTransportCredentials(insecure.NewCredentials()))...)
		if err != nil {
			return nil, fmt.Errorf("connect to the emulator at %s: %w", host, err)
		}
		opts = append(opts, option.WithGRPCConn(conn))
	} else {
		creds, err := gcp.DefaultCredentials(ctx)
		if err != nil {
			return nil, fmt.Errorf("credentials: %w", err)
		}
		opts = append(opts, option.WithTokenSource(gcp.CredentialsTokenSource(creds)))
		for _, b := range bounds {
			opts = append(opts, option.WithGRPCDialOption(b))
		}
	}
	client, err := firestore.NewClient(ctx, opts...)
	if err != nil {
		return nil, err
	}
	client.CallOptions.Commit, client.CallOptions.BatchGetDocuments, client.CallOptions.RunQuery = nil, nil, nil
	return client, nil
}

// boundCall gives a request its time.
func boundCall(
	ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, call grpc.UnaryInvoker, opts ...grpc.CallOption,
) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	return call(ctx, method, req, reply, conn, opts...)
}

// boundStream gives a request that is answered in parts its time.
func boundStream(
	ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption,
) (grpc.ClientStream, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	inner, err := open(ctx, desc, conn, method, opts...)
	if err != nil {
		cancel()
		return nil, err
	}
	return &stream{inner, cancel}, nil
}

// stream frees its timer when it ends.
type stream struct {
	grpc.ClientStream

	cancel context.CancelFunc
}

// RecvMsg receives a part. After an error, also io.EOF, there are no more.
func (s *stream) RecvMsg(m any) error {
	err := s.ClientStream.RecvMsg(m)
	if err != nil {
		s.cancel()
	}
	return err
}
