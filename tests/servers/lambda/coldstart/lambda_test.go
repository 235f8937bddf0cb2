package coldstart

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/tests/servers/lambda/build"
	"github.com/piecework/piecework/tests/servers/lambda/runtimeapi"
)

const (
	runs = 20
	// above is how much longer than that of the empty function the first answer may take where that one takes no longer than
	// usual. On a machine that is slower, or busy, both may take longer in proportion.
	above = 60 * time.Millisecond
	usual = 4 * time.Millisecond
)

// health is the event of a function URL that asks whether the API works.
const health = `{"version":"2.0","routeKey":"$default","rawPath":"/v1/health","rawQueryString":"","headers":{"host":"x",` +
	`"authorization":"Bearer the-token-of-the-tests-0123456789"},"requestContext":{"accountId":"anonymous","apiId":"x","domainName":"x",` +
	`"domainPrefix":"x","http":{"method":"GET","path":"/v1/health","protocol":"HTTP/1.1","sourceIp":"127.0.0.1","userAgent":"x"},` +
	`"requestId":"x","routeKey":"$default","stage":"$default","time":"22/Nov/2026:00:00:00 +0000","timeEpoch":1795305600000},"isBase64Encoded":false}`

// start is a program and its first event.
type start struct {
	what    string
	program string
	vars    []string
	event   []byte
	free    bool // has no budget
}

func TestColdStart(t *testing.T) {
	w := newWorld(t)
	bare, program := build.Must(t, "tests/servers/lambda/bare"), build.MustDeployed(t, "aws")
	ended := w.submit(t, 1)[0]
	if _, err := w.client.Cancel(t.Context(), ended, "the test needs one that has ended"); err != nil {
		t.Fatal(err)
	}
	function := func(name string) []string { return append([]string{"PIECEWORK_FUNCTION=" + name}, w.vars...) }
	starts := []start{
		{"the empty function", bare, nil, []byte(`{}`), true},
		{"execute, message of a job that has ended", program, function("execute"), hints(ended), false},
		// This one looks twice, 100 ms apart, since the message may have overtaken the record.
		{"execute, message of no job", program, function("execute"), hints("job-that-there-is-not"), true},
		{"submit, message that makes a job", program, function("submit"), message(`{"kind":"example.echo","key":"cold","delay":"1h"}`), false},
		{"sweep", program, function("sweep"), []byte(`{}`), false},
		{"api, GET /v1/health", program, function("api"), []byte(health), false},
	}
	over := measure(t, starts)
	if len(over) > 0 {
		t.Logf("over the budget: %v; once more", over)
		over = measure(t, starts)
	}
	for _, what := range over {
		t.Errorf("%s: see GODEBUG=inittrace=1", what)
	}
}

// measure takes all starts in turn, prints the medians, and returns what was too slow.
func measure(t *testing.T, starts []start) (over []string) {
	t.Helper()
	total, init := make([][]time.Duration, len(starts)), make([][]time.Duration, len(starts))
	for range runs {
		for i, s := range starts {
			r := once(t, s)
			total[i], init[i] = append(total[i], r.Total), append(init[i], r.Init)
		}
	}
	empty := median(total[0])
	budget := time.Duration(float64(above) * max(1, float64(empty)/float64(usual)))
	for i, s := range starts {
		m := median(total[i])
		fmt.Printf("cold  %-42s %10s from the start to the answer, of these %10s until ready; %+.1f ms beside the empty function\n",
			s.what, millis(m), millis(median(init[i])), float64(m-empty)/float64(time.Millisecond))
		if !s.free && m-empty > budget {
			over = append(over, fmt.Sprintf("%s: its first answer takes %s longer than that of the empty function, and may take %s", s.what, millis(m-empty), millis(budget)))
		}
	}
	return over
}

// once starts a program for one invocation.
func once(t *testing.T, s start) runtimeapi.Result {
	t.Helper()
	f := deploy(t, "cold", s.program, s.vars...)
	defer f.Close()
	r := invoke(t, f, s.event)
	if !r.Cold {
		t.Fatal("it was not a cold start")
	}
	return r
}

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

// maxAWS is the most that the program for Lambda may have. Lambda loads it at each cold start.
const maxAWS = 30_000_000

func TestSize(t *testing.T) {
	sizes := map[string]int64{}
	show := func(what, program string) {
		info, err := os.Stat(program)
		if err != nil {
			t.Fatal(err)
		}
		sizes[what] = info.Size()
		fmt.Printf("size  %-28s %5.1f MB\n", what, float64(info.Size())/1e6)
	}
	show("the empty function", build.Must(t, "tests/servers/lambda/bare"))
	show("the empty HTTP server", build.Must(t, "tests/servers/lambda/coldstart/barehttp"))
	for _, target := range []string{"aws", "gcp", "azure", "selfhost"} {
		show(target, build.MustDeployed(t, target))
	}
	if sizes["aws"] > maxAWS {
		t.Errorf("the program for AWS has %d bytes, and may have %d: see what links what is large with go tool nm -size -sort size", sizes["aws"], maxAWS)
	}
}
