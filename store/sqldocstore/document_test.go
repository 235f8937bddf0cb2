package sqldocstore

import (
	"errors"
	"fmt"
	"testing"

	"gocloud.dev/docstore"
	"gocloud.dev/gcerrors"
)

func TestJobRoundTrip(t *testing.T) {
	stores(t, func(t *testing.T, open func(Options) *docstore.Collection) {
		ctx, coll := t.Context(), open(jobOptions())
		j := newJob(1)
		j.Data = []byte{0, 1, 0xff}
		must(t, coll.Create(ctx, j))
		got := &job{ID: j.ID}
		must(t, coll.Get(ctx, got))
		if fmt.Sprint(got) != fmt.Sprint(j) {
			t.Fatalf("got %v, want %v", got, j)
		}
		j.DuePK, j.DueSK, j.Data = "", "", []byte{}
		must(t, coll.Replace(ctx, j))
		m := docmap{"id": j.ID}
		must(t, coll.Get(ctx, m))
		if _, ok := m["due_pk"]; ok || m["rev"] != j.Rev {
			t.Fatalf("got %v: due_pk was removed, rev is %v", m, j.Rev)
		}
		if b, ok := m["data"].([]byte); !ok || b == nil || len(b) != 0 {
			t.Fatalf("data: got %#v, want an empty []byte", m["data"])
		}
		part := docmap{"id": j.ID}
		must(t, coll.Get(ctx, part, "list_pk"))
		if len(part) != 3 || part["list_pk"] != j.ListPK { // with id and rev
			t.Fatalf("got %v, want list_pk alone", part)
		}
	})
}

func TestBytesAreNotShared(t *testing.T) {
	stores(t, func(t *testing.T, open func(Options) *docstore.Collection) {
		ctx, coll := t.Context(), open(jobOptions())
		data, other := []byte("data"), []byte("other")
		must(t, coll.Create(ctx, docmap{"id": "a", "data": data, "other": other}))
		data[0], other[0] = 'X', 'X'
		for range 2 {
			got := docmap{"id": "a"}
			must(t, coll.Get(ctx, got))
			if fmt.Sprintf("%s %s", got["data"], got["other"]) != "data other" {
				t.Fatalf("got %s %s", got["data"], got["other"])
			}
			got["data"].([]byte)[0], got["other"].([]byte)[0] = 'Y', 'Y'
		}
	})
}

func TestUnknownFields(t *testing.T) {
	stores(t, func(t *testing.T, open func(Options) *docstore.Collection) {
		ctx, coll := t.Context(), open(jobOptions())
		must(t, coll.Create(ctx, docmap{"id": "a", "rev": nil, "due_pk": "p", "newer": 1}))
		wantCode(t, coll.Get(ctx, &job{ID: "a"}), gcerrors.InvalidArgument) // as every driver
		got := &job{ID: "a"}
		must(t, coll.Get(ctx, got, "due_pk", "rev"))
		if got.DuePK != "p" || got.Rev == nil {
			t.Fatalf("got %v", got)
		}
		must(t, coll.Update(ctx, got, docstore.Mods{"due_pk": "q"}))
		m := docmap{"id": "a"}
		must(t, coll.Get(ctx, m))
		if m["newer"] != int64(1) || m["due_pk"] != "q" {
			t.Fatalf("got %v: an Update lost a field", m)
		}
	})
}

func TestBadDocuments(t *testing.T) {
	stores(t, func(t *testing.T, open func(Options) *docstore.Collection) {
		ctx, coll := t.Context(), open(jobOptions())
		for _, d := range []docmap{
			{"id": 1},
			{"id": "nul\x00"},
			{"id": "not UTF-8 \xff"},
			{"id": "a", "due_pk": "nul\x00"},
			{"id": "a", "due_pk": 1},
			{"id": "a", "data": "text"},
		} {
			wantCode(t, coll.Put(ctx, d), gcerrors.InvalidArgument)
		}
		must(t, coll.Put(ctx, docmap{"id": "quote \" \\ \t é \u2028"}))
		l := coll.Actions().Get(docmap{"id": "quote \" \\ \t é \u2028"}).Get(docmap{"id": "none"})
		var list docstore.ActionListError
		if err := l.Do(ctx); !errors.As(err, &list) || len(list) != 1 || list[0].Index != 1 {
			t.Fatalf("got %v, want NotFound of the second", err)
		}
		for _, m := range []docstore.Mods{{"id": "b"}, {"rev": 1}, {"due_pk": 1}, {"due_pk.x": "y"}} {
			wantCode(t, coll.Update(ctx, docmap{"id": "a"}, m), gcerrors.InvalidArgument)
		}
	})
}

func TestNestedMods(t *testing.T) {
	stores(t, func(t *testing.T, open func(Options) *docstore.Collection) {
		ctx, coll := t.Context(), open(Options{})
		must(t, coll.Create(ctx, docmap{"id": "a", "m": docmap{"x": 1, "y": "s"}, "s": "str"}))
		must(t, coll.Update(ctx, docmap{"id": "a"}, docstore.Mods{
			"m.x": docstore.Increment(2), "m.y": nil, "m.z": true, "new.deep.er": 1, "no.such": nil}))
		got := docmap{"id": "a"}
		must(t, coll.Get(ctx, got))
		want := docmap{"id": "a", "s": "str", "m": docmap{"x": int64(3), "z": true}, "new": docmap{"deep": docmap{"er": int64(1)}}}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("got %v, want %v", got, want)
		}
		wantCode(t, coll.Update(ctx, docmap{"id": "a"}, docstore.Mods{"s.x": 1}), gcerrors.InvalidArgument)
	})
}
