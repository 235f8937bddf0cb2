package coldstart

import (
	"fmt"
	"testing"
	"time"

	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/tests/servers/lambda/build"
)

// TestOverhead compares warm invocations of execute, whose jobs do nothing, with those of a function that writes as many
// records: a job is written when it is claimed and when it is finished.
func TestOverhead(t *testing.T) {
	w := newWorld(t)
	bare := deploy(t, "barewriter", build.Must(t, "tests/servers/lambda/coldstart/barewriter"), append([]string{"DYNAMODB=" + w.dynamodb, "TABLE=piecework"}, w.vars[:3]...)...)
	defer bare.Close()
	execute := deploy(t, "execute", build.MustDeployed(t, "aws"), append([]string{"PIECEWORK_FUNCTION=execute"}, w.vars...)...)
	defer execute.Close()
	for _, size := range []int{1, 10} {
		const rounds, warm = 100, 5
		ids := w.submit(t, (rounds+warm)*size)
		var ours, theirs []time.Duration
		for i := range rounds + warm {
			event := hints(ids[i*size : (i+1)*size]...)
			a, b := invoke(t, bare, event), invoke(t, execute, event)
			if i >= warm {
				theirs, ours = append(theirs, a.Duration), append(ours, b.Duration)
			}
		}
		for _, id := range []string{ids[0], ids[len(ids)-1]} {
			if info, err := w.client.Get(t.Context(), id); err != nil || info.State != store.Succeeded {
				t.Errorf("job %s is %s, %v", id, info.State, err)
			}
		}
		a, b := median(theirs), median(ours)
		fmt.Printf("warm  batch of %2d: bare handler with %2d writes %9s, execute %9s: %+.2f ms an invocation, %+.2f ms a job\n",
			size, 2*size, millis(a), millis(b), float64(b-a)/1e6, float64(b-a)/1e6/float64(size))
	}
}
