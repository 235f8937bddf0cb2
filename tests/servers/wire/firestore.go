package wire

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// Firestore starts a proxy before a Firestore server.
func Firestore(tb testing.TB, server string, opts Options) *Proxy {
	tb.Helper()
	conn, err := grpc.NewClient(server, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		tb.Fatal(err)
	}
	l, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	p := &Proxy{opts: opts, URL: l.Addr().String()}
	s := grpc.NewServer()
	pb.RegisterFirestoreServer(s, &firestore{proxy: p, next: pb.NewFirestoreClient(conn)})
	go func() { _ = s.Serve(l) }() // until it is stopped
	tb.Cleanup(func() {
		s.Stop()
		_ = conn.Close()
	})
	return p
}

type firestore struct {
	pb.UnimplementedFirestoreServer

	proxy *Proxy
	next  pb.FirestoreClient
}

// busy are the ways in which Firestore says that it was asked for too much, in all or of one document.
var busy = []error{
	status.Error(codes.ResourceExhausted, "Quota exceeded."),
	status.Error(codes.Unavailable, "The service is currently unavailable."),
	status.Error(codes.Aborted, "Too much contention on these documents. Please try again."),
}

func (f *firestore) refuse(op string) error {
	if n, no := f.proxy.refuse(op); no {
		return busy[n%len(busy)]
	}
	return nil
}

// pass hands the caller's metadata on.
func pass(ctx context.Context) context.Context {
	md, _ := metadata.FromIncomingContext(ctx)
	out := metadata.MD{}
	for k, v := range md {
		if k == "google-cloud-resource-prefix" || k == "x-goog-request-params" || k == "authorization" {
			out[k] = v
		}
	}
	return metadata.NewOutgoingContext(ctx, out)
}

// Commit counts the writes.
func (f *firestore) Commit(ctx context.Context, req *pb.CommitRequest) (*pb.CommitResponse, error) {
	if err := f.refuse("Commit"); err != nil {
		return nil, err
	}
	f.proxy.add("Commit", Count{Calls: 1, Items: len(req.GetWrites())})
	return f.next.Commit(pass(ctx), req)
}

// BatchGetDocuments counts the documents that were asked for: also those that are missing are billed.
func (f *firestore) BatchGetDocuments(req *pb.BatchGetDocumentsRequest, out pb.Firestore_BatchGetDocumentsServer) error {
	if err := f.refuse("BatchGetDocuments"); err != nil {
		return err
	}
	f.proxy.add("BatchGetDocuments", Count{Calls: 1, Items: len(req.GetDocuments())})
	in, err := f.next.BatchGetDocuments(pass(out.Context()), req)
	if err != nil {
		return err
	}
	return relay(in, out, func(*pb.BatchGetDocumentsResponse) {})
}

// RunQuery counts the documents that were found; of a query that finds none, Firestore bills one.
func (f *firestore) RunQuery(req *pb.RunQueryRequest, out pb.Firestore_RunQueryServer) error {
	if err := f.refuse("RunQuery"); err != nil {
		return err
	}
	in, err := f.next.RunQuery(pass(out.Context()), req)
	if err != nil {
		return err
	}
	found := 0
	err = relay(in, out, func(r *pb.RunQueryResponse) {
		if r.GetDocument() != nil {
			found++
		}
	})
	f.proxy.add("RunQuery", Count{Calls: 1, Items: max(found, 1)})
	return err
}

// relay passes a stream on.
func relay[T any](in interface{ Recv() (*T, error) }, out interface{ Send(*T) error }, look func(*T)) error {
	for {
		m, err := in.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		look(m)
		if err := out.Send(m); err != nil {
			return err
		}
	}
}
