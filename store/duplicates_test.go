package store_test

import (
	"errors"
	"testing"

	"gocloud.dev/docstore/memdocstore"

	"github.com/piecework/piecework/store"
)

// docstore refuses a whole list in which a key comes twice, and reports only the second. None of
// the others may then be taken for written.
func TestTheSameIDTwiceInOneList(t *testing.T) {
	coll, err := memdocstore.OpenCollection(store.IDField, &memdocstore.Options{RevisionField: store.RevisionField})
	if err != nil {
		t.Fatal(err)
	}
	defer coll.Close()
	s, err := store.New(coll, nil)
	if err != nil {
		t.Fatal(err)
	}
	job := func(id string) store.Job { return s.NewJob(store.Job{ID: id, Kind: "a.b"}, false, 1000) }
	ids := []string{"job-1", "job-2", "job-1", "job-3"}
	var jobs []store.Job
	for _, id := range ids {
		jobs = append(jobs, job(id))
	}
	for i, r := range s.CreateMany(t.Context(), jobs) {
		if twice := i == 2; twice != errors.Is(r.Err, store.ErrExists) {
			t.Errorf("create %d: error %v, want %v: %t", i, r.Err, store.ErrExists, twice)
		}
	}
	for _, id := range ids {
		if _, err := s.Get(t.Context(), id); err != nil {
			t.Errorf("%s was reported as created: error %v, want nil", id, err)
		}
	}

	claims := make([]store.Claim, len(ids))
	for i := range claims {
		claims[i] = store.Claim{Token: string(rune('a' + i)), Worker: "w", Now: 2000}
	}
	for i, r := range s.ClaimMany(t.Context(), ids, claims) {
		if twice := i == 2; twice != errors.Is(r.Err, store.ErrHeld) {
			t.Errorf("claim %d: error %v, want %v: %t", i, r.Err, store.ErrHeld, twice)
		}
	}
	for _, id := range ids {
		if j, err := s.Get(t.Context(), id); err != nil || j.State != store.Running {
			t.Errorf("%s was reported as claimed: state %s, error %v, want %s", id, j.State, err, store.Running)
		}
	}
}
