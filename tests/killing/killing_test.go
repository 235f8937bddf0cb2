package killing

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"gocloud.dev/blob/fileblob"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/fsck"
	"github.com/piecework/piecework/functions/httpapi/wire"
	"github.com/piecework/piecework/infra/drivers/sql"
	"github.com/piecework/piecework/localdev/kit"
	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/store/sqldocstore"
)

const (
	kills      = 22
	submitters = 4
	mostJobs   = 4000
)

// patient are the limits of a job that must outlive any number of kills.
func patient(kind, args string, n int) wire.Submit {
	lost, attempts := 1000, -1
	return wire.Submit{Kind: kind, Args: json.RawMessage(args), Key: fmt.Sprintf("kill-%d", n), MaxLost: &lost, MaxAttempts: &attempts}
}

// job is the n-th job: most are over in no time; some fail first, some take time and save checkpoints, some write
// files.
func job(n int) wire.Submit {
	switch {
	case n%200 == 0:
		return patient("demo.airports", `{"checkpoint_every":2000,"pace_ms":1000}`, n)
	case n%50 == 1:
		return patient("demo.sleep", `{"for":"2s"}`, n)
	case n%10 == 2:
		return patient("demo.fail", `{"times":1}`, n)
	case n%10 == 3:
		s := patient("demo.echo", fmt.Sprint(n), n)
		s.Delay = fmt.Sprintf("%dms", n%3000)
		return s
	default:
		return patient("demo.echo", fmt.Sprint(n), n)
	}
}

// accepted are the jobs whose submission was answered, by number.
type accepted struct {
	mu   sync.Mutex
	next int
	ids  map[int]string
}

// submit submits jobs until ctx ends, again with the same key when no answer came.
func (a *accepted) submit(ctx context.Context, t *testing.T, s *server) {
	for {
		a.mu.Lock()
		n := a.next
		a.next++
		a.mu.Unlock()
		for n < mostJobs {
			client, err := s.reach(ctx)
			if err != nil {
				return
			}
			receipt, err := client.Submit(ctx, job(n))
			if err == nil {
				a.mu.Lock()
				if before, ok := a.ids[n]; ok && before != receipt.ID {
					t.Errorf("job %d is %s, and was %s before", n, receipt.ID, before)
				}
				a.ids[n] = receipt.ID
				a.mu.Unlock()
				pause(ctx, 5*time.Millisecond)
				break
			}
			if ctx.Err() != nil {
				return
			}
			if errors.Is(err, functions.ErrInvalid) || errors.Is(err, functions.ErrUnknownKind) || errors.Is(err, functions.ErrArgs) {
				t.Errorf("job %d was refused: %v", n, err)
				return
			}
			pause(ctx, 20*time.Millisecond)
		}
		if n >= mostJobs {
			return
		}
	}
}

// The real command is killed again and again while jobs are submitted and run. No job that was accepted is lost, none
// succeeds twice, and nothing is left that breaks a rule.
func TestNothingIsLostWhenTheProcessIsKilled(t *testing.T) {
	s := newServer(t)
	seed := uint64(time.Now().UnixNano())
	rnd := rand.New(rand.NewPCG(seed, 0))
	a := &accepted{ids: map[int]string{}}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var submitting sync.WaitGroup
	for range submitters {
		submitting.Go(func() { a.submit(ctx, t, s) })
	}
	for range kills {
		s.start()
		pause(ctx, time.Duration(100+rnd.IntN(1400))*time.Millisecond)
		s.kill(time.Duration(rnd.IntN(2)*rnd.IntN(200)) * time.Millisecond)
	}
	s.start()
	cancel()
	submitting.Wait()
	t.Logf("%d jobs accepted, %d kills, seed %d", len(a.ids), kills, seed)
	if len(a.ids) < 100 {
		t.Fatalf("only %d jobs were accepted: that is no load", len(a.ids))
	}
	a.check(t, s)
	s.stop()
	checkStored(t, s)
}

// check waits for every accepted job and looks at its end.
func (a *accepted) check(t *testing.T, s *server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	client, err := s.reach(ctx)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{} // by name, the checksum that all jobs must agree on
	for n, id := range a.ids {
		info, err := client.Wait(ctx, id, nil)
		if err != nil {
			t.Fatalf("job %d (%s) of %s: %v\n%s", n, id, job(n).Kind, err, kit.History(info))
		}
		if info.State != store.Succeeded {
			t.Errorf("job %d did not succeed:\n%s", n, kit.History(info))
			continue
		}
		successes := 0
		for _, at := range info.Attempts {
			if at.Outcome == store.OutcomeSuccess {
				successes++
			}
		}
		if successes != 1 {
			t.Errorf("job %d succeeded %d times:\n%s", n, successes, kit.History(info))
		}
		if info.Kind == "demo.echo" && string(info.Result) != fmt.Sprint(n) {
			t.Errorf("job %d has another's result:\n%s", n, kit.History(info))
		}
		sameFiles(t, info, files)
	}
}

// sameFiles compares a job's files with those of the others.
func sameFiles(t *testing.T, info functions.Info, files map[string]string) {
	t.Helper()
	if info.Kind == "demo.airports" && len(info.Outputs) != 2 {
		t.Errorf("it should have two files:\n%s", kit.History(info))
	}
	for _, o := range info.Outputs {
		if have, ok := files[o.Name]; ok && have != o.SHA256 {
			t.Errorf("its %s is not that of the others:\n%s", o.Name, kit.History(info))
		}
		files[o.Name] = o.SHA256
	}
}

// checkStored reads what is stored from outside.
func checkStored(t *testing.T, s *server) {
	t.Helper()
	coll, err := sqldocstore.Open(t.Context(), s.storeURL(), sql.Options())
	if err != nil {
		t.Fatal(err)
	}
	defer coll.Close()
	bucket, err := fileblob.OpenBucket(s.dir+"/blobs", &fileblob.Options{NoTempDir: true, Metadata: fileblob.MetadataDontWrite})
	if err != nil {
		t.Fatal(err)
	}
	defer bucket.Close()
	report, err := fsck.Check(t.Context(), coll, bucket, fsck.Options{Now: time.Now(), Deep: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range report.Problems {
		t.Errorf("stored state: %s: %s: %s", p.ID, p.Rule, p.Text)
	}
}
