package sqldocstore

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"gocloud.dev/docstore"
	"gocloud.dev/gcerrors"

	"github.com/piecework/piecework/tests/postgres"
)

// TestSerializable: a server whose transactions are serializable gives up on some of those
// that meet (SQLSTATE 40001). They are tried again, and the losers of a race still hear
// that they lost.
func TestSerializable(t *testing.T) {
	ctx, url := t.Context(), postgres.Start(t)
	if strings.Contains(url, "?") {
		url += "&"
	} else {
		url += "?"
	}
	url += "options=-c%20default_transaction_isolation%3Dserializable"
	var colls []*docstore.Collection // as of two processes
	for range 2 {
		coll := docstore.NewCollection(mustOpen(t, url, jobOptions()))
		t.Cleanup(func() { must(t, coll.Close()) })
		colls = append(colls, coll)
	}
	const docs, rounds = 5, 20
	for i := range docs {
		must(t, colls[0].Create(ctx, newJob(i)))
	}
	for range rounds {
		var wins [docs]atomic.Int64
		var wg sync.WaitGroup
		for i := range docs {
			cur := newJob(i)
			must(t, colls[0].Get(ctx, cur))
			for n := range 8 {
				mine := *cur
				wg.Go(func() {
					switch err := colls[n%2].Replace(ctx, &mine); gcerrors.Code(err) {
					case gcerrors.OK:
						wins[i].Add(1)
					case gcerrors.FailedPrecondition:
					default:
						t.Error(err)
					}
				})
			}
		}
		wg.Wait()
		for i := range docs {
			if n := wins[i].Load(); n != 1 {
				t.Fatalf("document %d: %d of 8 won", i, n)
			}
		}
	}
}

// TestSpacesInParameters: what a URL says reaches the server as PostgreSQL's own tools
// would read it.
func TestSpacesInParameters(t *testing.T) {
	base := postgres.Start(t)
	join := "?"
	if strings.Contains(base, "?") {
		join = "&"
	}
	for in, want := range map[string]string{"a%20b": "a b", "a+b": "a+b", "a%2Bb": "a+b"} {
		coll := docstore.NewCollection(mustOpen(t, base+join+"application_name="+in, jobOptions()))
		t.Cleanup(func() { must(t, coll.Close()) })
		var pool *pgxpool.Pool
		if !coll.As(&pool) {
			t.Fatal("no pool")
		}
		var got string
		must(t, pool.QueryRow(t.Context(), "SHOW application_name").Scan(&got))
		if got != want {
			t.Errorf("%s: the server has %q, want %q", in, got, want)
		}
	}
}
