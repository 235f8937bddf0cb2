package mem_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/infra/drivers/mem"
	"github.com/piecework/piecework/store"
)

// gocloud's memory store updates documents in place while queries read them, which ends the process
// ("concurrent map read and map write"). Opened here it must not.
func TestQueriesWhileRecordsChange(t *testing.T) {
	coll, closeStore, err := drivers.New(mem.Register).OpenStore(t.Context(), "mem://")
	if err != nil {
		t.Fatal(err)
	}
	defer closeStore()
	s, err := store.New(coll, nil)
	if err != nil {
		t.Fatal(err)
	}
	now := store.At(time.Now())
	for i := range 50 {
		if _, err := s.Create(t.Context(), s.NewJob(store.Job{ID: fmt.Sprint("job-", i), Kind: "a.b"}, false, now)); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for n := range 200 {
				id := fmt.Sprint("job-", (i*13+n)%50)
				// Several are at the same jobs: some are refused.
				_, _ = s.RequestCancel(ctx, id, "", now)
				_, _ = s.Requeue(ctx, id, now)
			}
		})
		wg.Go(func() { // as package fsck reads
			for range 40 {
				it := coll.Query().Get(ctx)
				for doc := (map[string]any{}); it.Next(ctx, doc) == nil; doc = map[string]any{} {
					if doc[store.IDField] == nil {
						t.Error("a document without an id")
					}
				}
				it.Stop()
			}
		})
		wg.Go(func() {
			for range 15 {
				if _, err := s.List(ctx, store.Filter{Kinds: []string{"a.b"}}, 100, ""); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}
