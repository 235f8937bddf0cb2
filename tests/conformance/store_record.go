package conformance

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"gocloud.dev/docstore"

	"github.com/piecework/piecework/store"
)

// A record may be nearly 400 KB, the least that the stores have room for. A submission leaves some of it to the end.
func testLimits(t *testing.T, l *storeLab) {
	ctx := t.Context()
	big := func(n int) store.Payload {
		return store.Payload{Inline: jsontext.Value(`"` + strings.Repeat("x", n) + `"`)}
	}
	j := l.job(strings.Repeat("i", 200))
	j.Args = big(store.MaxGrown - 2000)
	created, err := l.Create(ctx, j)
	if err != nil {
		t.Fatal(err)
	}
	l.sameAsStored(t, created)
	claimed, err := l.Claim(ctx, j.ID, store.Claim{Token: "token-1", Now: t0})
	if err != nil {
		t.Fatal(err)
	}
	f := store.Finish{Token: "token-1", Now: t0 + 1, Outcome: store.OutcomeSuccess, Result: big(store.MaxRecord - store.MaxGrown + 2000)}
	_, err = l.Finish(ctx, claimed, f)
	wantErr(t, err, store.ErrTooLarge)
	l.sameAsStored(t, claimed)
	f.Result = big(store.MaxRecord - store.MaxGrown - 2000)
	finished, err := l.Finish(ctx, claimed, f)
	if err != nil {
		t.Fatal(err)
	}
	l.sameAsStored(t, finished)
	j.ID, j.Args = "too-large", big(store.MaxGrown)
	_, err = l.Create(ctx, j)
	wantErr(t, err, store.ErrTooLarge)
	_, err = l.Get(ctx, "too-large")
	wantErr(t, err, store.ErrNotFound)

	var many []store.Job // together they are larger than one answer of some stores
	for i := range 60 {
		j := l.job(fmt.Sprintf("big-%02d", i))
		j.Args = big(store.MaxGrown - 2000)
		many = append(many, j)
	}
	var ids []string
	for _, r := range l.CreateMany(ctx, many) {
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		ids = append(ids, r.Job.ID)
	}
	for i, r := range l.GetMany(ctx, ids) {
		if r.Err != nil || len(r.Job.Args.Inline) != store.MaxGrown-1998 {
			t.Fatalf("%s: %d bytes, %v", ids[i], len(r.Job.Args.Inline), r.Err)
		}
	}
}

func testTexts(t *testing.T, l *storeLab) {
	for i, s := range []string{
		"", " ", "ä€😀", "a\x00b", "\\u0000 \" '", "{\"$set\":1}", "line\r\nother\t", "\u2028\ufeff", strings.Repeat("長", 600),
	} {
		j := l.job(fmt.Sprint("job-", i))
		j.Tags, j.Key, j.Parent = []string{s, "b"}, s, s
		j.Trace = map[string]string{"tracestate": s}
		created, err := l.Create(t.Context(), j)
		if err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		if got := l.read(t, created.ID); got.Key != s || got.Tags[0] != s || got.Trace["tracestate"] != s {
			t.Errorf("%q became %q", s, got.Key)
		}
		l.sameAsStored(t, created)
	}
	for _, name := range []string{"A", "a", "Z", "job-1.2_3:4", "job-01JD8F2K3M4N5P6Q7R8S9T0V1W", "batch-7~9@x", "0", strings.Repeat("j", store.MaxID)} {
		j := l.job(name)
		j.Key = name
		if _, err := l.Create(t.Context(), j); err != nil {
			t.Fatalf("id %q: %v", name, err)
		}
		if got := l.read(t, name); got.ID != name || got.Key != name {
			t.Errorf("id %q: %q, %q", name, got.ID, got.Key)
		}
	}
}

// Members of the JSON that a later version added survive every write of this one.
func testUnknownMembers(t *testing.T, l *storeLab) {
	l.claimed(t, l.id)
	data := l.raw(t, l.id).Data
	for _, at := range []string{`{`, `"policy":{`, `"lease":{`} {
		if !bytes.Contains(data, []byte(at)) {
			t.Fatalf("no %s in %s", at, data)
		}
		data = bytes.Replace(data, []byte(at), []byte(at+`"later":{"n":[1,2.50,"x"],"big":12345678901234567890},`), 1)
	}
	l.rewrite(t, l.id, docstore.Mods{"data": data})
	have := l.read(t, l.id)
	kept, err := l.Heartbeat(t.Context(), have, store.Heartbeat{Token: "token-1", Now: t0 + 200_000})
	if err != nil {
		t.Fatal(err)
	}
	const member = `"later":{"n":[1,2.50,"x"],"big":12345678901234567890}`
	if n := bytes.Count(l.raw(t, l.id).Data, []byte(member)); n != 3 {
		t.Errorf("%d of 3 are left: %s", n, l.raw(t, l.id).Data)
	}
	if _, err := l.Finish(t.Context(), kept, store.Finish{Token: "token-1", Now: t0 + 1, Outcome: store.OutcomeSuccess}); err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(l.raw(t, l.id).Data, []byte(member)); n != 2 { // the lease is gone
		t.Errorf("%d of 2 are left: %s", n, l.raw(t, l.id).Data)
	}
}

// A field of the document that a later version added survives every verb.
func testUnknownFields(t *testing.T, l *storeLab) {
	eachVerb(t, l, func(t *testing.T, l *storeLab, v verb, _ store.Job) {
		l.rewrite(t, l.id, docstore.Mods{"later": "stays"})
		if _, err := v.do(t.Context(), l, l.read(t, l.id)); err != nil {
			t.Fatal(err)
		}
		if d := l.raw(t, l.id); d.Later != "stays" {
			t.Errorf("it is %q", d.Later)
		}
	})
}

func testNewerRecords(t *testing.T, l *storeLab) {
	for i, data := range []string{
		`{"v":4,"id":"job-1","kind":"a.b","state":"paused","created":1795262400000,"due":{"at":7}}`,
		`{"v":3,"kind":"a.b","state":"queued","created":1795262400000}`,
		`{"v":9,"kind":["a","b"]}`,
	} {
		l.id = fmt.Sprint("job-", i)
		l.put(t, l.job(l.id))
		l.rewrite(t, l.id, docstore.Mods{"data": []byte(data)})
		before := l.raw(t, l.id)
		_, err := l.Get(t.Context(), l.id)
		wantErr(t, err, store.ErrNewerRecord)
		for _, v := range slices.Concat(verbs, operatorVerbs) {
			if _, err := v.do(t.Context(), l, store.Job{ID: l.id}); err == nil {
				t.Errorf("%s: no error", v.name)
			} else {
				wantErr(t, err, store.ErrNewerRecord)
			}
		}
		if after := l.raw(t, l.id); !bytes.Equal(after.Data, before.Data) || after.DueSK != before.DueSK {
			t.Errorf("%s became %s", before.Data, after.Data)
		}
	}
}

// What the first version wrote, without any member that it did not need, can be carried on.
func testOlderRecords(t *testing.T, l *storeLab) {
	l.put(t, l.job(l.id))
	l.rewrite(t, l.id, docstore.Mods{"data": []byte(`{"v":1,"id":"job-1","kind":"a.b","state":"queued","created":1795262400000}`)})
	j, err := l.Claim(t.Context(), l.id, store.Claim{Token: "token-1", Now: t0})
	if err != nil {
		t.Fatal(err)
	}
	if j, err = l.Finish(t.Context(), j, store.Finish{Token: "token-1", Now: t0 + 1, Outcome: store.OutcomeSuccess}); err != nil {
		t.Fatal(err)
	}
	if j.State != store.Succeeded || j.Run != 1 {
		t.Errorf("%s", text(t, j))
	}
	l.sameAsStored(t, j)
}
