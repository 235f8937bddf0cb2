package coldstart

import (
	"fmt"
	"testing"
	"time"

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
