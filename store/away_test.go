package store_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"gocloud.dev/docstore/memdocstore"

	"github.com/piecework/piecework/store"
)

// A store that is away is waited for once, not once a record: a worker holds its slots meanwhile.
func TestVerbsOverManyWaitOnceForAStoreThatIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		coll, err := memdocstore.OpenCollection(store.IDField, &memdocstore.Options{RevisionField: store.RevisionField})
		if err != nil {
			t.Fatal(err)
		}
		s, err := store.New(coll, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := coll.Close(); err != nil { // from here on every call fails
			t.Fatal(err)
		}
		jobs := make([]store.Job, 250)
		ids, claims := make([]string, len(jobs)), make([]store.Claim, len(jobs))
		for i := range jobs {
			ids[i] = fmt.Sprintf("job-%d", i)
			jobs[i] = store.Job{ID: ids[i], Kind: "k"}
			claims[i] = store.Claim{Token: ids[i]}
		}
		for name, call := range map[string]func() []store.Result{
			"CreateMany": func() []store.Result { return s.CreateMany(t.Context(), jobs) },
			"ClaimMany":  func() []store.Result { return s.ClaimMany(t.Context(), ids, claims) },
			"GetMany":    func() []store.Result { return s.GetMany(t.Context(), ids) },
		} {
			start := time.Now()
			for i, r := range call() {
				if !errors.Is(r.Err, store.ErrUnavailable) {
					t.Errorf("%s: job %d: error %v, want %v", name, i, r.Err, store.ErrUnavailable)
				}
			}
			if d := time.Since(start); d > 2*time.Minute {
				t.Errorf("%s waited %v, want at most 2m", name, d)
			}
		}
	})
}
