package lambda_test

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/lambda"
)

func TestSweepTakesWhatSchedulersSend(t *testing.T) {
	for _, event := range []string{
		``, `null`, `{}`, ` {"part":0,"parts":1}`, `{"limit":10,"for":"5s"}`,
		`{"version":"0","id":"53dc4d37","detail-type":"Scheduled Event","source":"aws.events","account":"1","time":"2026-11-22T00:00:00Z","region":"x","resources":["arn"],"detail":{}}`,
		`{"version":"0","id":"53dc4d37","detail-type":"Scheduled Event","source":"aws.scheduler","detail":"{}"}`,
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, sleeper(), functions.Config{})
			w.kit.Submit("sleep", 1)
			time.Sleep(3 * time.Minute)
			h := made(t)(lambda.Sweep(w.Runtime, nil))
			answer, err := h(invocation(t, time.Minute), json.RawMessage(event))
			if err != nil {
				t.Fatalf("event = %s, error = %v; want no error", event, err)
			}
			text, err := json.Marshal(answer)
			sent := len(w.kit.Messages())
			if err != nil || !strings.Contains(string(text), `"looked":1`) || !strings.Contains(string(text), `"resent":1`) || sent != 2 {
				t.Errorf("%s: %s, %d messages, error %v, want 2 messages of 1 job", event, text, sent, err)
			}
		})
	}
}

// Parts are what their name says: together they do all, and none does what another does.
func TestSweepInParts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, sleeper(), functions.Config{})
		for range 50 {
			w.kit.Submit("sleep", 1)
		}
		time.Sleep(3 * time.Minute)
		h := made(t)(lambda.Sweep(w.Runtime, nil))
		total, least := 0, 50
		for _, event := range []string{`{"part":0,"parts":3}`, `{"part":1,"parts":3}`, `{"part":2,"parts":3}`} {
			answer, err := h(t.Context(), json.RawMessage(event))
			if err != nil {
				t.Fatal(err)
			}
			n := answer.(functions.SweepResult).Looked
			total, least = total+n, min(least, n)
		}
		if total != 50 || least == 0 {
			t.Errorf("three parts looked at %d of 50 records, one at %d", total, least)
		}
	})
}

func TestSweepEndsBeforeItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := time.Duration(0)
		w := newWorld(t, sleeper(), functions.Config{Parallel: 1, Now: func() time.Time {
			time.Sleep(slow)
			return time.Now()
		}})
		for range 3000 {
			w.kit.Submit("sleep", 1)
		}
		time.Sleep(3 * time.Minute)
		slow = 500 * time.Millisecond
		start := time.Now()
		answer, err := made(t)(lambda.Sweep(w.Runtime, nil))(invocation(t, 10*time.Second), nil)
		if err != nil {
			t.Fatal(err)
		}
		r := answer.(functions.SweepResult)
		if took := time.Since(start); took < 3*time.Second || took > 10*time.Second || !r.More || r.Looked == 0 || r.Looked == 3000 || r.Failures > 0 {
			t.Errorf("%+v after %v", r, took)
		}
	})
}

func TestSweepRefusesWhatItDoesNotKnow(t *testing.T) {
	w := newWorld(t, sleeper(), functions.Config{})
	h := made(t)(lambda.Sweep(w.Runtime, nil))
	for event, says := range map[string]string{
		`{"prts":4}`:           `unknown field "prts"; did you mean "parts"?`,
		`{"parts":"4"}`:        `field "parts" is "4": want a whole number`,
		`{"parts":null}`:       `want a whole number`,
		`{"part":4,"parts":4}`: "from 0 to parts-1",
		`{"part":-1}`:          "from 0 to parts-1",
		`{"limit":-1}`:         "no negative number",
		`{"for":"soon"}`:       `want a duration such as "30s"`,
		`{"for":"-1s"}`:        `want a duration`,
		`"x"`:                  `the function "sweep" got JSON of another form`,
		`[]`:                   `the function "sweep" got`,
		`{"Records":[{"eventSource":"aws:sqs"}]}`:   `an event of "aws:sqs"`,
		`{"version":"2.0","requestContext":{}}`:     "an HTTP request",
		`{"detail-type":"x","kind":"what is that"}`: "unknown field",
	} {
		_, err := h(t.Context(), json.RawMessage(event))
		wantErr(t, err, says)
	}
}
