package localdev_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/localdev"
)

// gocloud's memory store by itself crashes the process when a query reads a document that is being updated. The race
// detector sees it before that.
func TestMemoryStoreBearsQueriesBesideWrites(t *testing.T) {
	s := start(t, double(), localdev.Config{Store: "mem://", Blobs: "mem://"})
	stop := make(chan struct{})
	looked := make(chan int, 1)
	go func() {
		n := 0
		for {
			select {
			case <-stop:
				looked <- n
				return
			default:
			}
			if _, err := s.Runtime().Sweep(t.Context(), functions.SweepRequest{}); err != nil {
				t.Error(err)
			}
			if _, err := s.Client().List(t.Context(), functions.ListFilter{Limit: 100}); err != nil {
				t.Error(err)
			}
			n++
		}
	}()
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
	close(stop)
	if n := <-looked; n == 0 {
		t.Error("there was no query beside the writes")
	}
}
