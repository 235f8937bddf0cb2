package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gocloud.dev/docstore"
	"gocloud.dev/docstore/driver"
	"gocloud.dev/docstore/memdocstore"

	"github.com/piecework/piecework/store/relay"
)

// note is a record of the tests.
type note struct {
	Version int    `json:"v"`
	ID      string `json:"id"`
	Text    string `json:"text"`
	Old     bool   `json:"old"` // it has expired
	Due     string `json:"due"`
	Nonce   string `json:"nonce"`
	Write   string `json:"write"`

	rev any
}

// with returns a step that appends to the text, and has nothing to do if the text is there.
func with(text string) Step[note] {
	return func(n note) (note, bool, error) {
		if strings.Contains(n.Text, text) {
			return n, false, nil
		}
		n.Text += text
		return n, true, nil
	}
}

// notes are the notes of a collection in memory, and between hooks stand in front of it.
type notes struct {
	Records[note]

	paused  time.Duration
	between func(acts []*driver.Action, next func() driver.ActionListError) driver.ActionListError
}

// nouns are notes whose writes have tokens, and notes that have none.
func nouns(t *testing.T, test func(t *testing.T, n *notes)) {
	t.Helper()
	for name, tokens := range map[string]bool{"with tokens": true, "without tokens": false} {
		t.Run(name, func(t *testing.T) { test(t, newNotes(t, tokens)) })
	}
}

func newNotes(t *testing.T, tokens bool) *notes {
	t.Helper()
	inner, err := memdocstore.OpenCollection(IDField, &memdocstore.Options{RevisionField: RevisionField})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = inner.Close() })
	n, random := &notes{}, uint64(0)
	n.Collection = &Collection{
		Docs: relay.New(inner, relay.Hooks{Actions: func(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError {
			if n.between == nil {
				return next(ctx, acts)
			}
			return n.between(acts, func() driver.ActionListError { return next(ctx, acts) })
		}}),
		Rand:  func() uint64 { random++; return random },
		Pause: func(_ context.Context, d time.Duration) error { n.paused += d; return nil },
	}
	n.Noun = Noun[note]{
		Name:    "note",
		Version: 1,
		Head: func(r *note) Head {
			h := Head{Version: &r.Version, ID: &r.ID, Rev: &r.rev}
			if tokens {
				h.Nonce, h.Write = &r.Nonce, &r.Write
			}
			return h
		},
		Keys: func(r note) Keys {
			k := Keys{ListPK: "notes", ListSK: fmt.Sprintf("%016d#%s", 0, r.ID)}
			if r.Due != "" {
				k.DuePK, k.DueSK = "due", r.Due+"#"+r.ID
			}
			return k
		},
		Expired: func(r note) bool { return r.Old },
	}
	return n
}

// tries are tries of half a minute.
func (n *notes) tries() *Tries { return n.Tries(30 * time.Second) }

// create creates notes.
func (n *notes) create(t *testing.T, ids ...string) []note {
	t.Helper()
	var list []note
	for _, id := range ids {
		r, err := n.Create(t.Context(), n.tries(), note{ID: id, Text: "new"})
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, r)
	}
	return list
}

// wantText checks what is stored.
func (n *notes) wantText(t *testing.T, id, want string) {
	t.Helper()
	if r, err := n.Get(t.Context(), n.tries(), id); err != nil || r.Text != want {
		t.Errorf("%s has the text %q, error %v, want %q", id, r.Text, err, want)
	}
}

// loseAnswers lets the next k writes be applied or not, without an answer.
func (n *notes) loseAnswers(k int, applied bool) {
	n.between = func(acts []*driver.Action, next func() driver.ActionListError) driver.ActionListError {
		if writes := func(a *driver.Action) bool { return a.Kind != driver.Get }; k == 0 || !slices.ContainsFunc(acts, writes) {
			return next()
		}
		k--
		var errs driver.ActionListError
		if applied {
			errs = next()
		}
		if errs == nil {
			for _, a := range acts {
				errs = append(errs, driver.ActionListError{{Index: a.Index, Err: errors.New("connection reset by peer")}}...)
			}
		}
		return errs
	}
}

func TestAWriteWhoseAnswerIsLostHappensOnce(t *testing.T) {
	nouns(t, func(t *testing.T, n *notes) {
		for _, applied := range []bool{true, false} {
			id := fmt.Sprintf("note-%t", applied)
			n.loseAnswers(1, applied)
			r, err := n.Create(t.Context(), n.tries(), note{ID: id, Text: "new"})
			known := n.Head(&r).Nonce != nil // by its nonce
			if foreign := errors.Is(err, ErrExists); foreign != (applied && !known) || err != nil && !foreign {
				t.Errorf("create, applied %t: error %v, want ErrExists only for a note without a nonce that is stored", applied, err)
			}
			n.loseAnswers(2, applied)
			if r, err = n.Change(t.Context(), n.tries(), note{ID: id}, with("+a")); err != nil || r.Text != "new+a" {
				t.Errorf("change, applied %t: text %q, error %v, want new+a", applied, r.Text, err)
			}
			n.loseAnswers(1, applied)
			list := n.ChangeMany(t.Context(), n.tries(), []string{id}, func(_ int, cur note) (note, bool, error) { return with("+b")(cur) })
			if list[0].Err != nil || list[0].Record.Text != "new+a+b" {
				t.Errorf("change of many, applied %t: %+v, want new+a+b", applied, list[0])
			}
			n.wantText(t, id, "new+a+b")
			if !known {
				continue
			}
			n.loseAnswers(1, applied) // of a step that does not know what it has done
			if _, err := n.Change(t.Context(), n.tries(), r, func(r note) (note, bool, error) { r.Text += "!"; return r, true, nil }); err != nil {
				t.Fatal(err)
			}
			n.wantText(t, id, "new+a+b!")
		}
	})
}

func TestAChangeThatLosesARaceIsAppliedToWhatIsStored(t *testing.T) {
	nouns(t, func(t *testing.T, n *notes) {
		have := n.create(t, "note-1")[0]
		for _, text := range []string{"+a", "+b", "+a"} {
			if _, err := n.Change(t.Context(), n.tries(), have, with(text)); err != nil {
				t.Fatal(err)
			}
		}
		n.wantText(t, "note-1", "new+a+b")
		if gone, err := n.Remove(t.Context(), n.tries(), have); err != nil || gone {
			t.Errorf("remove of a note that has changed = %t, %v, want false", gone, err)
		}
	})
}

func TestARecordIsCreatedOnceAndAnExpiredOneReplaced(t *testing.T) {
	nouns(t, func(t *testing.T, n *notes) {
		have := n.create(t, "note-1")[0]
		there, err := n.Create(t.Context(), n.tries(), note{ID: "note-1", Text: "another"})
		if !errors.Is(err, ErrExists) || there.Text != "new" {
			t.Errorf("create of a note that exists: %+v, %v, want the stored one and %v", there, err, ErrExists)
		}
		if _, err := n.Change(t.Context(), n.tries(), have, func(r note) (note, bool, error) { r.Old = true; return r, true, nil }); err != nil {
			t.Fatal(err)
		}
		if _, err := n.Get(t.Context(), n.tries(), "note-1"); !errors.Is(err, ErrNotFound) || err.Error() != "get note-1: no such note: it has expired" {
			t.Errorf("get of an expired note: %v, want %v, with the noun and the reason", err, ErrNotFound)
		}
		list := n.CreateMany(t.Context(), n.tries(), []note{{ID: "note-1", Text: "again"}, {ID: "note-2", Text: "again"}, {ID: "note-2"}})
		if list[0].Err != nil || list[1].Err != nil || !errors.Is(list[2].Err, ErrExists) {
			t.Errorf("creations: %v, %v, %v; want nil twice and %v", list[0].Err, list[1].Err, list[2].Err, ErrExists)
		}
		n.wantText(t, "note-1", "again")
	})
}

func TestAStoreThatIsAwayIsGivenUpWithPatience(t *testing.T) {
	nouns(t, func(t *testing.T, n *notes) {
		have := n.create(t, "note-1", "note-2")
		n.loseAnswers(-1, false)
		_, err := n.Change(t.Context(), n.tries(), have[0], with("+a"))
		list := n.RemoveMany(t.Context(), n.tries(), have)
		for what, err := range map[string]error{"change": err, "removal": list[0].Err, "second removal": list[1].Err} {
			if !errors.Is(err, ErrUnavailable) {
				t.Errorf("%s: %v, want %v", what, err, ErrUnavailable)
			}
		}
		if n.paused < 50*time.Second || n.paused > time.Minute {
			t.Errorf("paused for %v in two verbs with a patience of 30s, want nearly a minute", n.paused)
		}
		n.between = nil
		for i, r := range n.RemoveMany(t.Context(), n.tries(), have) {
			if !r.Gone || r.Err != nil {
				t.Errorf("removal of %s = %+v, want gone", have[i].ID, r)
			}
		}
	})
}

func TestRecordsOfNewerVersionsAndGarbageAreNotChanged(t *testing.T) {
	nouns(t, func(t *testing.T, n *notes) {
		for data, want := range map[string]error{
			`{"v":2,"text":"newer"}`: ErrNewerRecord, `{"v":2,"text":7}`: ErrNewerRecord, `{"v":1,"text":7}`: ErrCorrupt, "{": ErrCorrupt,
		} {
			if err := n.Docs.Put(t.Context(), &Doc{ID: "note-1", Data: []byte(data)}); err != nil {
				t.Fatal(err)
			}
			r, err := n.Change(t.Context(), n.tries(), note{ID: "note-1"}, with("+a"))
			if !errors.Is(err, want) || r.ID != "note-1" || r.rev == nil {
				t.Errorf("change of %s: %+v, %v, want its id and revision, and %v", data, r, err, want)
			}
			if err := n.DeferDue(t.Context(), r, "due", "0007#note-1"); err != nil {
				t.Errorf("defer %s: %v, want nil", data, err)
			}
			d := &Doc{ID: "note-1"}
			if err := n.Docs.Get(t.Context(), d, "data", "due_sk"); err != nil || string(d.Data) != data || d.DueSK != "0007#note-1" {
				t.Errorf("stored %q, due %q, %v, want %s as it was, due at 0007", d.Data, d.DueSK, err, data)
			}
		}
	})
}

func TestDueRecordsAndListsArePaged(t *testing.T) {
	nouns(t, func(t *testing.T, n *notes) {
		var want []string
		for i := range 25 {
			r := note{ID: fmt.Sprintf("note-%02d", i), Due: fmt.Sprintf("%04d", i)}
			if _, err := n.Create(t.Context(), n.tries(), r); err != nil {
				t.Fatal(err)
			}
			want = append(want, r.ID)
		}
		var due, listed []string
		for after := ""; ; {
			refs, err := n.Due(t.Context(), n.tries(), "due", after, "0019~", 7)
			if err != nil {
				t.Fatal(err)
			}
			if due = append(due, ids(refs)...); len(refs) < 7 {
				break
			}
			after = refs[len(refs)-1].SK
		}
		if !slices.Equal(due, want[:20]) {
			t.Errorf("due: %v, want %v", due, want[:20])
		}
		list := List[note]{
			Name: "notes", Partitions: []Partition{{"list", "notes"}},
			Passes: func(r Result[note]) bool { return r.Err == nil && !strings.HasSuffix(r.Record.ID, "3") },
		}
		for cursor := ""; ; {
			page, err := n.List(t.Context(), 30*time.Second, list, 4, cursor)
			if err != nil || len(page.Results) > 4 {
				t.Fatalf("%d notes, error %v, want at most 4", len(page.Results), err)
			}
			for _, r := range page.Results {
				listed = append(listed, r.Record.ID)
			}
			if cursor = page.Next; cursor == "" {
				break
			}
		}
		want = slices.DeleteFunc(want, func(id string) bool { return strings.HasSuffix(id, "3") })
		slices.Reverse(want)
		if !slices.Equal(listed, want) {
			t.Errorf("listed: %v, want %v", listed, want)
		}
		for _, cursor := range []string{"x", newCursor("others", "0000000000000000#note-01")} {
			if _, err := n.List(t.Context(), time.Second, list, 4, cursor); !errors.Is(err, ErrCursor) {
				t.Errorf("cursor %q: %v, want %v", cursor, err, ErrCursor)
			}
		}
	})
}

// Fields that a write does not change are not written, and an index key that goes is removed.
func TestAWriteNamesTheFieldsThatChange(t *testing.T) {
	was := Keys{DuePK: "due", DueSK: "1", ListPK: "l", ListSK: "1", Expires: int64(7)}
	got := Keys{ListPK: "l", ListSK: "1", FailPK: "f", FailSK: "2"}.Mods(was)
	want := docstore.Mods{"due_pk": nil, "due_sk": nil, "fail_pk": "f", "fail_sk": "2", ExpiresField: nil}
	if len(got) != len(want) {
		t.Fatalf("mods %v, want %v", got, want)
	}
	for name, value := range want {
		if v, ok := got[name]; !ok || v != value {
			t.Errorf("mods %v, want %s = %v", got, name, value)
		}
	}
}
