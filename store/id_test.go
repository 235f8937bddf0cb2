package store

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"gocloud.dev/docstore/driver"
	"gocloud.dev/gcerrors"

	"github.com/piecework/piecework/store/relay"
)

// badIDs are texts that cannot be ids of records.
func badIDs() []string {
	return []string{
		"", " ", "job-\x00", "job-\xff", "job-ä", "job 1", "job-1/2", "job#1", `job"1`, "-job", ".", "..", "__x__", "job\n",
		strings.Repeat("j", MaxID+1),
	}
}

func TestTheFormOfIDs(t *testing.T) {
	for _, id := range []string{"j", "kinds", "A9", "job-1.2_3:4", "batch-7~9@x", strings.Repeat("j", MaxID)} {
		if err := CheckID(id); err != nil {
			t.Errorf("CheckID(%q) = %v, want nil", id, err)
		}
	}
	for _, id := range badIDs() {
		if err := CheckID(id); !errors.Is(err, ErrID) {
			t.Errorf("CheckID(%q) = %v, want %v", id, err, ErrID)
		}
	}
}

// A user asked for a job or a parked message, and knows of no records.
func TestWhatIsMissingIsNamed(t *testing.T) {
	l, ctx := newLab(t, openMemory(t)), t.Context()
	_, get := l.Get(ctx, "job-1")
	_, release := l.Release(ctx, "job-1", t0)
	_, malformed := l.Get(ctx, "job 1")
	_, parked := l.GetParked(ctx, "parked-1")
	_, other := l.GetParked(ctx, "job-1")
	for _, c := range []struct {
		err  error
		want string
	}{
		{get, "get job-1: no such job"},
		{release, "get job-1: no such job"},
		{l.GetMany(ctx, []string{"job-1"})[0].Err, "get job-1: no such job"},
		{malformed, `get: no such job: malformed id "job 1"`},
		{parked, "get parked-1: no such parked message"},
		{other, `no such parked message: the id "job-1" does not begin with parked-`},
	} {
		if wantErr(t, c.err, ErrNotFound); !strings.HasPrefix(c.err.Error(), c.want) {
			t.Errorf("error = %q, want %q", c.err, c.want)
		}
	}
}

func TestNoVerbPassesAMalformedIDToTheDriver(t *testing.T) {
	for _, bad := range badIDs() {
		l := newLab(t, openMemory(t))
		l.queued(t, "job-1")
		l.actions = func(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError {
			for _, a := range acts {
				if id, err := a.Doc.GetField(IDField); err != nil || id == bad {
					t.Errorf("id %q reached the driver, want it to be refused before", bad)
				}
			}
			return next(ctx, acts)
		}
		ctx := t.Context()
		_, get := l.Get(ctx, bad)
		_, claim := l.Claim(ctx, bad, Claim{Token: "t", Now: t0})
		_, release := l.Release(ctx, bad, t0)
		_, cancel := l.RequestCancel(ctx, bad, "", t0)
		_, requeue := l.Requeue(ctx, bad, t0)
		_, parked := l.GetParked(ctx, bad)
		claims := l.ClaimMany(ctx, []string{bad, "job-1"}, []Claim{{Token: "t", Now: t0}, {Token: "u", Now: t0}})
		if claims[1].Err != nil {
			t.Errorf("claim of job-1 beside id %q: %v, want nil", bad, claims[1].Err)
		}
		for verb, err := range map[string]error{
			"Get": get, "Claim": claim, "Release": release, "RequestCancel": cancel, "Requeue": requeue, "GetParked": parked,
			"ClaimMany": claims[0].Err, "GetMany": l.GetMany(ctx, []string{bad, "job-1"})[0].Err,
		} {
			if !errors.Is(err, ErrNotFound) || !errors.Is(err, ErrID) {
				t.Errorf("%s(%q) = %v, want %v and %v", verb, bad, err, ErrNotFound, ErrID)
			}
		}
		j := l.NewJob(Job{ID: bad, Kind: "a.b"}, false, t0)
		_, err := l.Create(ctx, j)
		many := l.CreateMany(ctx, []Job{j, l.NewJob(Job{ID: "job-2", Kind: "a.b"}, false, t0)})
		if !errors.Is(err, ErrID) || !errors.Is(many[0].Err, ErrID) || many[1].Err != nil {
			t.Errorf("creations with id %q = %v, %v; beside it %v; want %v twice, nil", bad, err, many[0].Err, many[1].Err, ErrID)
		}
	}
}

func TestARecordThatTheStoreCallsInvalidIsRefused(t *testing.T) {
	l := newLab(t, openMemory(t))
	tries := 0
	l.actions = func(_ context.Context, acts []*driver.Action, _ relay.Run) driver.ActionListError {
		tries++
		return allFail(acts, relay.Error{Code: gcerrors.InvalidArgument})
	}
	if _, err := l.Get(t.Context(), "job-1"); !errors.Is(err, ErrRefused) || errors.Is(err, ErrUnavailable) || tries != 1 {
		t.Errorf("Get = %v after %d tries, want %v after one", err, tries, ErrRefused)
	}
}

func TestTimesBeyondTheCalendarsEnd(t *testing.T) {
	for _, c := range []struct {
		stored Time
		want   string
	}{
		{MaxTime, "9999-12-31T23:59:59.999Z"}, {MaxTime + 1, "9999-12-31T23:59:59.999Z"}, {math.MaxInt64, "9999-12-31T23:59:59.999Z"},
		{MinTime, "0001-01-01T00:00:00Z"}, {math.MinInt64, "0001-01-01T00:00:00Z"}, {t0, "2026-11-21T12:00:00Z"}, {0, "0001-01-01T00:00:00Z"},
	} {
		if b, err := c.stored.Time().MarshalJSON(); err != nil || string(b) != `"`+c.want+`"` {
			t.Errorf("time %d is %s, %v in JSON, want %s", c.stored, b, err, c.want)
		}
	}
	for at, want := range map[time.Time]Time{
		time.Unix(math.MaxInt64/2, 0): MaxTime, time.Unix(math.MinInt64/2, 0): MinTime, {}: 0, t0.Time(): t0,
		MaxTime.Time(): MaxTime, time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC): MaxTime,
	} {
		if got := At(at); got != want {
			t.Errorf("At(%v) = %d, want %d", at, got, want)
		}
	}
}

func TestDifferencesOfTimesDoNotOverflow(t *testing.T) {
	const year = 365 * 24 * time.Hour
	for _, c := range []struct {
		t, u Time
		want time.Duration
	}{
		{t0.Add(200 * year), t0, 200 * year}, {t0, t0.Add(200 * year), -200 * year},
		{MaxTime, t0, math.MaxInt64}, {t0, MaxTime, math.MinInt64}, {t0.Add(292 * year).Add(year), t0, math.MaxInt64},
	} {
		if got := c.t.Sub(c.u); got != c.want {
			t.Errorf("%d.Sub(%d) = %v, want %v", c.t, c.u, got, c.want)
		}
	}
}

func TestClipKeepsWhatIsText(t *testing.T) {
	for _, c := range []struct {
		text string
		n    int
		want string
	}{
		{"prefix: " + strings.Repeat("\xff", 4000), 100, "prefix: \uFFFD… (cut)"},
		{"M\xfcller", 100, "M\uFFFDller"},
		{"\xff\xfe tail", 100, "\uFFFD tail"},
		{strings.Repeat("a\xff", 50), 20, "a\uFFFDa\uFFFDa… (cut)"},
	} {
		if got := Clip(c.text, c.n); got != c.want {
			t.Errorf("Clip(%.40q, %d) = %q, want %q", c.text, c.n, got, c.want)
		}
	}
}
