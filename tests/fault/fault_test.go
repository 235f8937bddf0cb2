package fault_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/docstore"
	"gocloud.dev/gcerrors"

	"github.com/piecework/piecework/tests/fault"
)

type doc struct {
	ID   string `docstore:"id"`
	Rev  any    `docstore:"rev"`
	Data []byte `docstore:"data"`
	PK   string `docstore:"due_pk,omitempty"`
	SK   string `docstore:"due_sk,omitempty"`
}

// script gives each effect of a verb its fate.
type script struct {
	fates map[string]fault.Fate
	seen  []string
}

func (s *script) Before(_ context.Context, op fault.Op) fault.Fate {
	s.seen = append(s.seen, op.String())
	return s.fates[op.Verb]
}

func (s *script) After(context.Context, fault.Op) {}

func open(t *testing.T, d *fault.Docs) *docstore.Collection {
	t.Helper()
	coll := docstore.NewCollection(d)
	t.Cleanup(func() { _ = coll.Close() })
	return coll
}

func TestALostRaceSpeaksAsTheStoreDoes(t *testing.T) {
	for flavour, want := range map[fault.Flavour]gcerrors.ErrorCode{
		fault.Memory: gcerrors.FailedPrecondition, fault.Dynamo: gcerrors.FailedPrecondition,
		fault.Mongo: gcerrors.NotFound, fault.Firestore: gcerrors.FailedPrecondition,
	} {
		coll := open(t, &fault.Docs{Flavour: flavour})
		d := &doc{ID: "a", Data: []byte("1")}
		if err := coll.Create(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		stale := *d
		d.Data = []byte("2")
		if err := coll.Replace(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		err := coll.Update(t.Context(), &stale, docstore.Mods{"data": []byte("3")})
		if gcerrors.Code(err) != want {
			t.Errorf("%v: %v, want %v", flavour, err, want)
		}
		if spoilt := stale.Rev == "spoilt"; spoilt != (flavour == fault.Mongo) {
			t.Errorf("%v: the revision after a failed write is %v", flavour, stale.Rev)
		}
		if err := coll.Create(t.Context(), &doc{ID: "a"}); gcerrors.Code(err) != gcerrors.AlreadyExists {
			t.Errorf("coll.Create: got %v: %v, want gcerrors.Code(err) == gcerrors.AlreadyExists", flavour, err)
		}
		fresh := &doc{ID: "a"}
		if err := coll.Get(t.Context(), fresh, "data"); err != nil || string(fresh.Data) != "2" {
			t.Errorf(`coll.Get: got %v: %q, %v, want no error && string(fresh.Data) == "2"`, flavour, fresh.Data, err)
		}
	}
}

func TestAWriteIsAppliedOrNotAsItsFateSays(t *testing.T) {
	for how, applied := range map[fault.How]bool{fault.Refused: false, fault.Lost: true} {
		docs := &fault.Docs{Hook: &script{fates: map[string]fault.Fate{"create": {How: how, Code: gcerrors.ResourceExhausted}}}}
		err := open(t, docs).Create(t.Context(), &doc{ID: "a"})
		if gcerrors.Code(err) != gcerrors.ResourceExhausted || (docs.Get("a") != nil) != applied {
			t.Errorf("%v: applied %v, %v", how, docs.Get("a") != nil, err)
		}
		files := &fault.Blobs{Hook: &script{fates: map[string]fault.Fate{"write": {How: how}}}}
		bucket := blob.NewBucket(files)
		err = bucket.WriteAll(t.Context(), "k", []byte("x"), nil)
		if err == nil || (files.Data("k") != nil) != applied {
			t.Errorf("%v: blob %q, %v", how, files.Data("k"), err)
		}
		_ = bucket.Close()
	}
}

func TestQueriesLagAndReadsDoNot(t *testing.T) {
	now := int64(1000)
	docs := &fault.Docs{Now: func() int64 { return now }, Lag: func(context.Context, string) int64 { return 50 }}
	coll := open(t, docs)
	d := &doc{ID: "a", PK: "p", SK: "1"}
	if err := coll.Create(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	now = 1100
	if err := coll.Update(t.Context(), d, docstore.Mods{"due_sk": "2", "due_pk": "p"}); err != nil {
		t.Fatal(err)
	}
	for at, want := range map[int64]string{1049: "", 1120: "1", 1150: "2"} {
		now = at
		it := coll.Query().Where("due_pk", "=", "p").OrderBy("due_pk", docstore.Ascending).Get(t.Context(), "id", "due_sk")
		var got doc
		if err := it.Next(t.Context(), &got); err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		if got.SK != want {
			t.Errorf("at %d the query sees %q, want %q", at, got.SK, want)
		}
	}
	if err := coll.Get(t.Context(), d, "due_sk"); err != nil || d.SK != "2" {
		t.Errorf(`coll.Get: got %q, %v, want no error && d.SK == "2"`, d.SK, err)
	}
}

func TestBlobsAreListedInOrderAndGoOnce(t *testing.T) {
	s := &script{}
	bucket := blob.NewBucket(&fault.Blobs{Hook: s})
	defer bucket.Close()
	for _, k := range []string{"b", "a", "c/d"} {
		if err := bucket.WriteAll(t.Context(), k, []byte(k), nil); err != nil {
			t.Fatal(err)
		}
	}
	var keys []string
	for it := bucket.List(nil); ; {
		o, err := it.Next(t.Context())
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, o.Key)
	}
	if !slices.Equal(keys, []string{"a", "b", "c/d"}) {
		t.Errorf(`got %v, want slices.Equal(keys, []string{"a", "b", "c/d"})`, keys)
	}
	if err := bucket.Delete(t.Context(), "a"); err != nil {
		t.Error(err)
	}
	if err := bucket.Delete(t.Context(), "a"); gcerrors.Code(err) != gcerrors.NotFound {
		t.Errorf("bucket.Delete: got %v, want gcerrors.Code(err) == gcerrors.NotFound", err)
	}
	if b, err := bucket.ReadAll(t.Context(), "c/d"); err != nil || string(b) != "c/d" {
		t.Errorf(`bucket.ReadAll: got %q, %v, want no error && string(b) == "c/d"`, b, err)
	}
	if s.seen[0] != "blobs write b" {
		t.Errorf(`got %v, want s.seen[0] == "blobs write b"`, s.seen)
	}
}

func TestAThrottleRefusesAsTheStoreDoes(t *testing.T) {
	for flavour, want := range map[fault.Flavour][]int{fault.Dynamo: {1}, fault.Mongo: {-1}, fault.Firestore: {1}} {
		inner := open(t, &fault.Docs{Flavour: flavour})
		var n int
		throttle := &fault.Throttle{Flavour: flavour, Admit: func(context.Context, fault.Op, int) bool { n++; return n != 2 }}
		coll := throttle.Collection(inner)
		err := coll.Actions().Create(&doc{ID: "a"}).Create(&doc{ID: "b"}).Create(&doc{ID: "c"}).Do(t.Context())
		var list docstore.ActionListError
		if !errors.As(err, &list) || len(list) != 1 || list[0].Index != want[0] {
			t.Errorf("got %v: %v, want errors.As(err, &list) && len(list) == 1 && list[0].Index == want[0]", flavour, err)
		}
		if code := gcerrors.Code(err); code != gcerrors.Unknown && code != gcerrors.ResourceExhausted {
			t.Errorf("%v: code %v", flavour, code)
		}
		if tally := throttle.Tally(); tally != (fault.Tally{Asked: 3, Refused: 1}) {
			t.Errorf("throttle.Tally: got %v: %+v, want tally == (fault.Tally{Asked: 3, Refused: 1})", flavour, tally)
		}
		for id, there := range map[string]bool{"a": true, "b": false, "c": true} {
			if err := coll.Get(t.Context(), &doc{ID: id}); (err == nil) != there {
				t.Errorf("coll.Get: got %v: %s: %v, want (err == nil) == there", flavour, id, err)
			}
		}
		_ = coll.Close()
	}
}

func TestABucketAdmitsItsRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &fault.Bucket{Rate: 10, Burst: 20}
		take := func() (n int) {
			for b.Admit(t.Context(), fault.Op{}, 1) {
				n++
			}
			return n
		}
		if n := take(); n != 20 {
			t.Errorf("%d at first", n)
		}
		time.Sleep(time.Second)
		if n := take(); n != 10 {
			t.Errorf("%d after a second", n)
		}
		time.Sleep(time.Hour)
		if b.Admit(t.Context(), fault.Op{}, 21) || take() != 20 {
			t.Error("more than the burst")
		}
	})
}
