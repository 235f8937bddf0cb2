package drivers_test

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/infra/drivers/files"
	"github.com/piecework/piecework/infra/drivers/mem"
	"github.com/piecework/piecework/infra/drivers/sql"
	"github.com/piecework/piecework/pubsubq"
)

// refused wants an error of configuration that tells all of the words.
func refused(t *testing.T, err error, words ...string) {
	t.Helper()
	if !errors.Is(err, functions.ErrConfig) {
		t.Errorf("error %v, want ErrConfig", err)
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q does not say %q", err, w)
		}
	}
}

func TestSchemesThatAreNotLinkedAreRefusedWithTheRemedy(t *testing.T) {
	set := drivers.New(mem.Register, sql.Register)
	ctx := t.Context()
	_, _, err := set.OpenStore(ctx, "dynamodb://table?region=x")
	refused(t, err, "mem://, postgres://user@host/db, postgresql://user@host/db, sqlite:///path/to/file", "aws.Register", "infra/drivers/aws")
	_, _, err = set.OpenStore(ctx, "redis://x")
	refused(t, err, `"redis"`, "correct the scheme")
	_, err = set.OpenQueue(ctx, "awssqs://sqs.x/1/{queue}")
	refused(t, err, "aws.Register")
	_, err = set.OpenBucket(ctx, "file:///x")
	refused(t, err, "files.Register")
	_, err = set.OpenBucket(ctx, "bucket")
	refused(t, err, "not a URL", "drivers for mem://")
	_, err = drivers.New().OpenBucket(ctx, "mem://")
	refused(t, err, "only for none")
	_, err = set.Provisioner(drivers.Config{Store: "mongodb://h/db"})
	refused(t, err, "mongo.Register")
}

func TestParametersThatAreNotKnownAreRefused(t *testing.T) {
	set := drivers.New(mem.Register, sql.Register, files.Register)
	dir := t.TempDir()
	for _, raw := range []string{"mem://?x=1", "file://" + dir + "?base_ur=x", "file://" + dir + "?base_url=https://x.example"} {
		if _, err := set.OpenBucket(t.Context(), raw); err == nil {
			t.Errorf("%s was accepted", raw)
		}
	}
	_, err := set.OpenBucket(t.Context(), "file://"+dir+"?base_ur=x")
	refused(t, err, `did you mean "base_url"?`)
	_, err = set.OpenQueue(t.Context(), "mem://?prefetch=3")
	refused(t, err, "prefetch")
	_, _, err = set.OpenStore(t.Context(), "sqlite://"+filepath.Join(dir, "x.db")+"?tabel=x")
	refused(t, err, `did you mean "table"?`)
	_, _, err = set.OpenStore(t.Context(), "sqlite://"+filepath.Join(dir, "x.db")+"?column=x:text")
	refused(t, err, "layout")
}

func TestBackendsWorkTogetherAndClose(t *testing.T) {
	set := drivers.New(mem.Register, sql.Register, files.Register)
	dir := t.TempDir()
	o, err := set.Open(t.Context(), drivers.Config{
		Store: "sqlite://" + filepath.Join(dir, "x.db"), Queues: "mem://{queue}", Blobs: "file://" + filepath.Join(dir, "blobs"),
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := o.Store.Timing().Native; got != time.Hour {
		t.Errorf("native delay %v, want what the longest grace allows", got)
	}
	if err := o.Queue.Send(t.Context(), "default", 0, pubsubq.Message{ID: "job-1"}); err != nil {
		t.Fatal(err)
	}
	r := o.Queues.Receiver("default")
	ds, err := r.Receive(t.Context(), 10)
	if err != nil || len(ds) != 1 || !bytes.Contains(ds[0].Body, []byte("job-1")) {
		t.Fatalf("received %v, %v", ds, err)
	}
	ds[0].Ack()
	part, err := o.Blobs.Put(t.Context(), "job-1", "args", []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	found, err := filepath.Glob(filepath.Join(dir, "blobs", "jobs", "job-1", "*"))
	if err != nil || len(found) != 1 {
		t.Errorf("files %v of %v, %v", found, part, err)
	}
	if err := errors.Join(r.Shutdown(t.Context()), o.Close(t.Context())); err != nil {
		t.Error(err)
	}
	if _, _, err := set.Backends(t.Context(), drivers.Config{Store: "mem://", Queues: "mem://", Blobs: "s3://b"}); err == nil {
		t.Error("a bucket without a driver was opened")
	}
}

func TestProvisionersOfSQL(t *testing.T) {
	set := drivers.New(sql.Register, mem.Register)
	file := "sqlite://" + filepath.Join(t.TempDir(), "x.db")
	for _, raw := range []string{file + "?table=jobs", "postgres://u@h/db?table=jobs&sslmode=disable"} {
		p, err := set.Provisioner(drivers.Config{Store: raw})
		if err != nil {
			t.Fatal(err)
		}
		text, err := p.Print()
		if err != nil || !strings.Contains(text, "jobs") || strings.Count(strings.ToUpper(text), "CREATE INDEX") != 3 {
			t.Errorf(`got %s: %v
%s, want no error && strings.Contains(text, "jobs") && strings.Count(strings.ToUpper(text), "CREATE INDEX") == 3`, raw, err, text)
		}
	}
	p, err := set.Provisioner(drivers.Config{Store: file})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(p.Apply(t.Context()), p.Apply(t.Context())); err != nil {
		t.Error(err)
	}
	none, err := set.Provisioner(drivers.Config{Store: "mem://"})
	if err != nil {
		t.Fatal(err)
	}
	if text, err := none.Print(); err != nil || text == "" || none.Apply(t.Context()) != nil {
		t.Errorf(`none.Print: got %q, %v, want no error && text != "" && none.Apply(t.Context()) == nil`, text, err)
	}
}

func TestOpeningIsAllOrNothing(t *testing.T) {
	closed := 0
	set := drivers.New(mem.Register, func(s *drivers.Set) {
		s.AddQueue("fake", func(context.Context, *drivers.Address, *slogLogger) (drivers.Queue, error) {
			return fakeQueue{&closed}, nil
		})
	})
	if _, err := set.Open(t.Context(), drivers.Config{Store: "mem://", Queues: "fake://", Blobs: "mem://?x=1"}); err == nil || closed != 1 {
		t.Errorf("error %v, queues closed %d times", err, closed)
	}
}

func TestAStoreSettlesTheRest(t *testing.T) {
	home := filepath.ToSlash(t.TempDir())
	t.Setenv("HOME", home)
	dir, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	beside := filepath.ToSlash(dir) + "/d%20e/blobs"
	for store, want := range map[string][2]string{
		"sqlite:///a%20b/x.db?create=false":   {"sqlite:///a%20b/x.db?create=false", "file:///a%20b/blobs"},
		"sqlite:d%20e/x.db":                   {"sqlite:d%20e/x.db", "file://" + beside},
		"SQLITE::memory:":                     {"SQLITE::memory:", "mem://"},
		"mem://":                              {"mem://", "mem://"},
		"postgres://me@h:5432/db?sslmode=x":   {"postgres://me@h:5432/db?sslmode=x", "file://" + home + "/.piecework/h-db"},
		"postgresql:///?host=/run/p&dbname=d": {"postgresql:///?host=/run/p&dbname=d", "file://" + home + "/.piecework/_run_p-d"},
		"pool://?schema=x":                    {"pool://?schema=x", ""},
		"mongodb://h/db":                      {"", ""},
		"":                                    {"", ""},
	} {
		if c := (drivers.Config{Store: store}).WithDefaults(); c.Queues != want[0] || c.Blobs != want[1] {
			t.Errorf("of %q: queues %q, blobs %q; want %q, %q", store, c.Queues, c.Blobs, want[0], want[1])
		}
	}
	given := drivers.Config{Store: "sqlite:///x.db", Queues: "amqp://h", Blobs: "s3://b"}
	if c := given.WithDefaults(); c != given {
		t.Errorf("WithDefaults() = %+v, want what is given, %+v", c, given)
	}
}
