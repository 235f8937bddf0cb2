package sqldocstore

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gocloud.dev/docstore"
)

// addJobs creates n jobs.
func addJobs(t testing.TB, coll *docstore.Collection, n int) {
	t.Helper()
	for i := 0; i < n; i += 1000 {
		l := coll.Actions()
		for k := range min(1000, n-i) {
			j := newJob(i + k)
			j.Data = []byte("small")
			l.Create(j)
		}
		must(t, l.Do(t.Context()))
	}
}

// TestPlans: the queries of a job system are searches of an index that need no sort,
// on a new table without statistics too.
func TestPlans(t *testing.T) {
	stores(t, func(t *testing.T, open func(Options) *docstore.Collection) { checkPlans(t, open(jobOptions())) })
}

func checkPlans(t *testing.T, coll *docstore.Collection) {
	t.Helper()
	for _, n := range []int{0, 3000} {
		addJobs(t, coll, n)
		for name, q := range map[string]*docstore.Query{
			"due":    coll.Query().Where("due_pk", "=", "due#01").Where("due_sk", "<", "0000000000001000").OrderBy("due_sk", docstore.Ascending).Limit(10),
			"newest": coll.Query().Where("list_pk", "=", "a").Where("list_sk", "<", "~").OrderBy("list_sk", docstore.Descending).Limit(10),
			"page":   coll.Query().Where("list_pk", "=", "a").Where("list_sk", ">", "a").Where("list_sk", "<=", "b").OrderBy("list_sk", docstore.Ascending).Limit(10),
			"in":     coll.Query().Where("due_pk", "in", []string{"a", "b"}),
		} {
			plan, err := q.Plan("id", "due_sk")
			must(t, err)
			index := strings.Contains(plan, "jobs_due_pk_due_sk") || strings.Contains(plan, "jobs_list_pk_list_sk")
			if !index || strings.Contains(plan, "Sort") || strings.Contains(plan, "TEMP B-TREE") || strings.Contains(plan, "SCAN") ||
				strings.Contains(plan, "Seq Scan") || strings.Contains(plan, "Bitmap") || strings.Contains(plan, `"data"`) {
				t.Errorf("%s with %d documents: %s", name, n, plan)
			}
		}
	}
}

func TestPlanInGo(t *testing.T) {
	coll := docstore.NewCollection(mustOpen(t, "sqlite::memory:", jobOptions()))
	defer coll.Close()
	plan, err := coll.Query().Where("due_pk", "=", "a").Where("a.b", ">", 1).OrderBy("due_pk", docstore.Ascending).Plan()
	must(t, err)
	if !strings.Contains(plan, "in Go: filter a.b >") {
		t.Fatalf("got %s", plan)
	}
}

func TestQueries(t *testing.T) {
	stores(t, func(t *testing.T, open func(Options) *docstore.Collection) {
		ctx := t.Context()
		coll := open(Options{Columns: []Column{{"s", Text}, {"n", Int}}, Indexes: [][]string{{"s", "n"}}})
		when := time.Date(2026, 11, 21, 12, 0, 0, 5, time.UTC)
		for _, d := range []docmap{
			{"id": "1", "s": "B", "n": 1, "x": 1, "sub": docmap{"f": 2.5}, "t": when},
			{"id": "2", "s": "a", "n": 2, "x": "text", "sub": docmap{"f": 1}, "t": when.Add(time.Hour)},
			{"id": "3", "s": "é", "n": -3, "x": 2.5, "b": true},
			{"id": "4", "s": "", "x": nil},
			{"id": "5", "n": 5},
		} {
			must(t, coll.Create(ctx, d))
		}
		q := coll.Query
		for name, tc := range map[string]struct {
			q    *docstore.Query
			want string
		}{
			"bytewise":           {q().Where("s", ">", "A").OrderBy("s", docstore.Ascending), "1 2 3"},
			"descending":         {q().Where("s", ">=", "").OrderBy("s", docstore.Descending), "3 2 1 4"},
			"in":                 {q().Where("s", "in", []string{"a", "é", "zz"}), "2 3"},
			"in nothing":         {q().Where("s", "in", []string{}), ""},
			"not in":             {q().Where("s", "not-in", []string{"a", "é"}), "1 4"},
			"not in nothing":     {q().Where("n", "not-in", []int{}), "1 2 3 5"},
			"in ints":            {q().Where("n", "in", []int64{1, 5}), "1 5"},
			"int range":          {q().Where("n", ">", -3).Where("n", "<=", 2), "1 2"},
			"int and float":      {q().Where("n", ">", 1.5), "2 5"},
			"string is no int":   {q().Where("n", ">", "1"), ""},
			"int is no string":   {q().Where("s", "=", 1), ""},
			"in Go":              {q().Where("x", ">=", 1), "1 3"},
			"in Go and column":   {q().Where("x", ">=", 1).Where("s", "=", "B"), "1"},
			"path":               {q().Where("sub.f", "<", 2), "2"},
			"time":               {q().Where("t", ">", when), "2"},
			"bool":               {q().Where("b", "=", true), "3"},
			"absent is no match": {q().Where("x", "not-in", []int{7}), "1 2 3"},
			"key":                {q().Where("id", ">", "3").OrderBy("id", docstore.Descending), "5 4"},
			"order by column":    {q().OrderBy("n", docstore.Ascending), "4 3 1 2 5"},
			"and descending":     {q().OrderBy("n", docstore.Descending), "5 2 1 3 4"},
			"order in Go":        {q().Where("x", ">", 0).OrderBy("x", docstore.Descending), "3 1"},
			"order by unknown":   {q().OrderBy("x", docstore.Ascending), "4 5 1 3 2"},
			"offset":             {q().OrderBy("id", docstore.Ascending).Offset(3), "4 5"},
			"limit in Go":        {q().Where("x", "not-in", []int{7}).Offset(1).Limit(1), "2"},
			"past the end":       {q().Offset(9).Limit(1), ""},
		} {
			got := collect(t, tc.q.Get(ctx, "id"))
			if !strings.Contains(name, "order") && !strings.Contains(name, "descending") && name != "bytewise" && name != "key" {
				slices.Sort(got)
			}
			if strings.Join(got, " ") != tc.want {
				t.Errorf("%s: got %v, want %s", name, got, tc.want)
			}
		}
		// What Go filters by is read, and not handed out.
		it := q().Where("x", "=", 1).Get(ctx, "n")
		defer it.Stop()
		got := docmap{}
		must(t, it.Next(ctx, got))
		if fmt.Sprint(got) != fmt.Sprint(docmap{"id": "1", "n": int64(1)}) {
			t.Fatalf("got %v", got)
		}
	})
}

func TestLargeResults(t *testing.T) {
	const n = 20000
	stores(t, func(t *testing.T, open func(Options) *docstore.Collection) {
		ctx, coll := t.Context(), open(jobOptions())
		addJobs(t, coll, n)
		for _, dir := range []string{docstore.Ascending, docstore.Descending} {
			ids := collect(t, coll.Query().Where("list_pk", "=", "job#banking.statement#0").
				Where("list_sk", ">", "!").OrderBy("list_sk", dir).Get(ctx, "id"))
			want := slices.Clone(ids)
			slices.Sort(want)
			if dir == docstore.Descending {
				slices.Reverse(want)
			}
			if len(ids) != n || !slices.Equal(ids, want) {
				t.Fatalf("%s: %d documents, or not in order", dir, len(ids))
			}
			// due_pk has 16 values: pages of ties meet every document once.
			seen := map[string]bool{}
			for offset := 0; offset < n; offset += 3000 {
				for _, id := range collect(t, coll.Query().Where("due_pk", ">", "!").OrderBy("due_pk", dir).
					Offset(offset).Limit(3000).Get(ctx, "id")) {
					seen[id] = true
				}
			}
			if len(seen) != n {
				t.Fatalf("%s: pages met %d of %d documents", dir, len(seen), n)
			}
		}
	})
}

// TestQueryDuringWrites: a query that is being read sees one state, does not keep
// writers waiting, and is not disturbed by them.
func TestQueryDuringWrites(t *testing.T) {
	stores(t, func(t *testing.T, open func(Options) *docstore.Collection) {
		ctx, coll := t.Context(), open(jobOptions())
		addJobs(t, coll, 2000)
		var open20 []*docstore.DocumentIterator // more than may keep a connection
		for range 20 {
			it := coll.Query().OrderBy("id", docstore.Ascending).Get(ctx)
			must(t, it.Next(ctx, docmap{}))
			open20 = append(open20, it)
		}
		var wg sync.WaitGroup
		for w := range 4 {
			wg.Go(func() {
				for i := range 200 {
					err := coll.Update(ctx, docmap{"id": newJob(4*i + w).ID}, docstore.Mods{"due_pk": "changed", "more": i})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait() // the writes are done, the queries are still open
		for i, it := range open20 {
			if i%3 == 0 {
				it.Stop()
				if err := it.Next(ctx, docmap{}); !errors.Is(err, io.EOF) {
					t.Fatalf("after Stop: %v", err)
				}
				continue
			}
			count := 1
			for {
				d := docmap{}
				err := it.Next(ctx, d)
				if errors.Is(err, io.EOF) {
					break
				}
				must(t, err)
				if d["due_pk"] == "changed" {
					t.Fatal("a query saw a write that came after it")
				}
				count++
			}
			if count != 2000 {
				t.Fatalf("%d documents, want 2000", count)
			}
		}
		if n := len(collect(t, coll.Query().Where("due_pk", "=", "changed").Get(ctx))); n != 800 {
			t.Fatalf("%d documents changed, want 800", n)
		}
	})
}
