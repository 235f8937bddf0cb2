package servers

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"gocloud.dev/docstore"

	"github.com/piecework/piecework/blobout"
	"github.com/piecework/piecework/infra/drivers"
	awsdrivers "github.com/piecework/piecework/infra/drivers/aws"
	"github.com/piecework/piecework/infra/drivers/azure"
	"github.com/piecework/piecework/infra/drivers/gcp"
	"github.com/piecework/piecework/infra/drivers/kafka"
	"github.com/piecework/piecework/infra/drivers/mongo"
	"github.com/piecework/piecework/infra/drivers/nats"
	"github.com/piecework/piecework/infra/drivers/rabbit"
	"github.com/piecework/piecework/infra/drivers/sql"
	"github.com/piecework/piecework/pubsubq"
	"github.com/piecework/piecework/store"
)

// A silent server takes connections and answers nothing, as one behind a firewall or on a machine that hangs.
func silent(t *testing.T) (host string) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(io.Discard, c)
				_ = c.Close()
			}()
		}
	}()
	return l.Addr().String()
}

// What a caller gave a call, and the most that it may take all the same.
const (
	given   = 300 * time.Millisecond
	allowed = 4 * time.Second
)

// ends wants a call to end with its context, and to say that it did.
func ends(t *testing.T, what string, call func(ctx context.Context) error) {
	t.Helper()
	for name, want := range map[string]error{"deadline": context.DeadlineExceeded, "cancel": context.Canceled} {
		ctx, cancel := context.WithTimeout(t.Context(), given)
		if want == context.Canceled { //nolint:errorlint // it is the very value
			cancel()
			ctx, cancel = context.WithCancel(t.Context())
			time.AfterFunc(given, cancel)
		}
		begun := time.Now()
		err := call(ctx)
		cancel()
		if took := time.Since(begun); !errors.Is(err, want) || took > allowed {
			t.Errorf("%s, %s: %v after %v", what, name, err, took.Round(time.Millisecond))
		}
	}
}

// soon wants a call to end, however it does.
func soon(t *testing.T, what string, call func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), given)
	defer cancel()
	begun := time.Now()
	err := call(ctx)
	if took := time.Since(begun); took > allowed {
		t.Errorf("%s: %v after %v", what, err, took.Round(time.Millisecond))
	}
}

func allDrivers() *drivers.Set {
	set := drivers.New(awsdrivers.Register, azure.Register, gcp.Register, kafka.Register, mongo.Register, nats.Register, rabbit.Register, sql.Register)
	set.LogTo(slog.New(slog.DiscardHandler))
	return set
}

// A broker that does not answer holds nobody up for longer than they said.
func TestQueuesOfASilentBroker(t *testing.T) {
	FakeAWS(t)
	host := silent(t)
	t.Setenv("PUBSUB_EMULATOR_HOST", host)
	t.Setenv("SERVICEBUS_CONNECTION_STRING",
		"Endpoint=sb://"+host+";SharedAccessKeyName=k;SharedAccessKey=c2VjcmV0;UseDevelopmentEmulator=true;")
	for name, raw := range map[string]string{
		"rabbit":    "amqp://" + host + "/?queue=piecework.{queue}",
		"jetstream": "jetstream://" + host + "/piecework.{queue}",
		"kafka":     "kafka://" + host + "/piecework-{queue}",
		"sqs":       "awssqs://" + host + "/1/piecework-{queue}?region=us-east-1&endpoint=http://" + host,
		"pubsub":    "gcppubsub://project/piecework-{queue}",
		"azuresb":   "azuresb:///piecework-{queue}",
	} {
		t.Run(name, func(t *testing.T) {
			q, err := allDrivers().OpenQueue(t.Context(), raw)
			if err != nil {
				t.Fatal(err)
			}
			r := q.Receiver("default")
			ends(t, "receive", func(ctx context.Context) error { _, err := r.Receive(ctx, 1); return err })
			ends(t, "send", func(ctx context.Context) error {
				return q.Sender().Send(ctx, "default", 0, pubsubq.Message{ID: "job-1"})
			})
			soon(t, "shutdown", r.Shutdown)
			soon(t, "close", q.Close)
		})
	}
}

// Nor does a store.
func TestStoresThatAreSilent(t *testing.T) {
	host := silent(t)
	t.Setenv("FIRESTORE_EMULATOR_HOST", host)
	for name, raw := range map[string]string{
		"mongo":     "mongodb://" + host + "/db",
		"firestore": "firestore://project/records",
	} {
		t.Run(name, func(t *testing.T) {
			coll, closeStore, err := allDrivers().OpenStore(t.Context(), raw)
			if err != nil {
				t.Fatal(err)
			}
			verbs(t, coll)
			soon(t, "close", func(context.Context) error { return closeStore() })
		})
	}
}

// Stores that look at the server when they are opened.
func TestOpeningAStoreThatIsSilent(t *testing.T) {
	FakeAWS(t)
	host := silent(t)
	for name, raw := range map[string]string{
		"postgres": "postgres://user@" + host + "/db?sslmode=disable",
		"dynamodb": "dynamodb://table?region=us-east-1&endpoint=http://" + host,
	} {
		t.Run(name, func(t *testing.T) {
			ends(t, "open", func(ctx context.Context) error {
				_, closeStore, err := allDrivers().OpenStore(ctx, raw)
				if err == nil {
					return closeStore()
				}
				return err
			})
		})
	}
}

// verbs want each kind of request to end with its context.
func verbs(t *testing.T, coll *docstore.Collection) {
	t.Helper()
	s, err := store.New(coll, nil)
	if err != nil {
		t.Fatal(err)
	}
	ends(t, "get", func(ctx context.Context) error { _, err := s.Get(ctx, "job-1"); return err })
	ends(t, "create", func(ctx context.Context) error {
		_, err := s.Create(ctx, store.Job{ID: "job-1", Kind: "a.b"})
		return err
	})
	ends(t, "get many", func(ctx context.Context) error { return s.GetMany(ctx, []string{"job-1", "job-2"})[1].Err })
	ends(t, "due", func(ctx context.Context) error { _, err := s.Due(ctx, 0, store.At(time.Now()), "", 1); return err })
}

// Nor does a bucket.
func TestBucketsThatAreSilent(t *testing.T) {
	FakeAWS(t)
	host := silent(t)
	t.Setenv("STORAGE_EMULATOR_HOST", host)
	t.Setenv("AZURE_STORAGE_ACCOUNT", AzuriteAccount)
	t.Setenv("AZURE_STORAGE_KEY", AzuriteKey)
	for name, raw := range map[string]string{
		"s3":     "s3://bucket?region=us-east-1&endpoint=http://" + host,
		"gs":     "gs://bucket",
		"azblob": "azblob://container?localemu=true&protocol=http&domain=" + host,
	} {
		t.Run(name, func(t *testing.T) {
			b, err := allDrivers().OpenBucket(t.Context(), raw)
			if err != nil {
				t.Fatal(err)
			}
			bs := blobout.New(b.Bucket, &blobout.Options{Upload: name == "azblob"})
			ends(t, "write", func(ctx context.Context) error { _, err := bs.Put(ctx, "job-1", "result", []byte("1")); return err })
			ends(t, "read", func(ctx context.Context) error {
				_, err := bs.Get(ctx, blobout.Part{Key: "jobs/job-1/p/result", Size: 1})
				return err
			})
			ends(t, "list", func(ctx context.Context) error { _, err := bs.List(ctx, "job-1"); return err })
			soon(t, "close", func(context.Context) error { return b.Close() })
		})
	}
}
