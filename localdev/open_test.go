package localdev_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/localdev"
)

// gocloud's memory store by itself crashes the process when a query reads a document that is being
// updated. The race detector sees it before that.
func TestMemoryStoreBearsQueriesBesideWrites(t *testing.T) {
	s := start(t, double(), localdev.Config{Store: "mem://", Blobs: "mem://"})
	ctx, stop := context.WithCancel(t.Context())
	var looking sync.WaitGroup
	looks := 0
	looking.Go(func() {
		for ; ctx.Err() == nil; looks++ {
			_, err := s.Runtime().Sweep(t.Context(), functions.SweepRequest{})
			_, listErr := s.Client().List(t.Context(), functions.ListFilter{Limit: 100})
			if err := errors.Join(err, listErr); err != nil && t.Context().Err() == nil {
				t.Error(err)
			}
		}
	})
	t.Cleanup(func() { stop(); looking.Wait() }) // also when the test fails before
	const jobs = 300
	for i := range jobs {
		if _, err := s.Client().Submit(t.Context(), "double", i, functions.Retention(10*time.Millisecond)); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, func() error {
		if n := s.Runtime().Stats().Succeeded.Load(); n != jobs {
			return fmt.Errorf("%d of %d jobs succeeded", n, jobs)
		}
		return nil
	})
	stop()
	looking.Wait()
	if looks == 0 {
		t.Error("there was no query beside the writes")
	}
}
