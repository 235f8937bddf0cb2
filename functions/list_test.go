package functions_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/store"
)

// Lists say what they leave out, and have it when they are asked to, unless it is too large for
// that.
func TestListsLeaveOutLargePayloads(t *testing.T) {
	d := newDesk(t, handle(echoing))
	for _, c := range []struct {
		size            int
		brief, complete []string // what is left out
	}{
		{100, nil, nil},
		{1000, []string{"args", "result"}, nil},
		{40_000, []string{"args", "result"}, []string{"args", "result"}},
	} {
		t.Run(fmt.Sprint(c.size), func(t *testing.T) {
			full := d.once(t, "shop.order", order{Item: strings.Repeat("x", c.size)})
			if len(full.Args) < c.size || len(full.Result) < c.size || full.Omitted != nil {
				t.Errorf("Get: %d bytes of arguments, %d of result, omitted %v", len(full.Args), len(full.Result), full.Omitted)
			}
			for payloads, omitted := range map[bool][]string{false: c.brief, true: c.complete} {
				list, err := d.Client().List(t.Context(), functions.ListFilter{Limit: 1, Payloads: payloads})
				if err != nil || len(list.Jobs) != 1 {
					t.Fatalf("%d jobs, %v, want 1", len(list.Jobs), err)
				}
				i := list.Jobs[0]
				if !slices.Equal(i.Omitted, omitted) || (i.Args == nil) != (omitted != nil) || (i.Result == nil) != (omitted != nil) {
					t.Errorf("payloads %v: omitted %v, want %v; %d bytes of arguments, %d of result", payloads, i.Omitted, omitted, len(i.Args), len(i.Result))
				}
				_, err = resultOf[order](i)
				if want := omitted != nil; errors.Is(err, functions.ErrInvalid) != want {
					t.Errorf("payloads %v: ResultOf gives %v, want an error: %v", payloads, err, want)
				}
			}
			d.advance(time.Second)
		})
	}
}

func TestPeekReadsNoBlobs(t *testing.T) {
	d := newDesk(t, handle(echoing))
	i := d.once(t, "shop.order", order{Item: strings.Repeat("x", 40_000)})
	_ = d.bucket.Close()
	got, err := d.Client().Peek(t.Context(), i.ID)
	if err != nil || got.State != store.Succeeded || !slices.Equal(got.Omitted, []string{"args", "result"}) {
		t.Errorf("state %s, omitted %v, %v; want succeeded, args and result", got.State, got.Omitted, err)
	}
	if outs, err := d.Client().Outputs(t.Context(), i.ID); err != nil || len(outs) != 0 {
		t.Errorf("Outputs: %v, %v", outs, err)
	}
}

// A page says how far it has looked, and Jobs goes on by itself.
func TestJobsGoesOnBehindJobsThatAreNotWanted(t *testing.T) {
	d := newDesk(t, handle(echoing))
	first := d.clock()
	var want []string
	for range 3 {
		want = append([]string{d.submit(t, "shop.order", order{}, functions.Tags("wanted"))}, want...)
		d.advance(time.Second)
	}
	subs := make([]functions.Submission, 2500)
	for i := range subs {
		subs[i] = functions.Submission{Kind: "shop.order", Args: order{Count: i}}
	}
	if _, err := d.Client().SubmitMany(t.Context(), subs); err != nil {
		t.Fatal(err)
	}
	f := functions.ListFilter{Tag: "wanted"}
	page, err := d.Client().List(t.Context(), f)
	if err != nil || len(page.Jobs) != 0 || page.Next == "" || page.Scanned < 2000 || !page.Until.After(first) {
		t.Errorf("first page: %d jobs, next %q, scanned %d until %v, %v", len(page.Jobs), page.Next, page.Scanned, page.Until, err)
	}
	var got []string
	for i, err := range d.Client().Jobs(t.Context(), f) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, i.ID)
	}
	if !slices.Equal(got, want) {
		t.Errorf("wanted jobs %v, want %v", got, want)
	}
	for range d.Client().Jobs(t.Context(), functions.ListFilter{}) {
		break // it can be left
	}
	for _, err := range d.Client().Jobs(t.Context(), functions.ListFilter{Limit: -1}) {
		wantErr(t, err, functions.ErrInvalid)
	}
	if text, err := json.Marshal(page); err != nil || !strings.Contains(string(text), `"scanned":2`) {
		t.Errorf("%s, %v, want how many were scanned", text, err)
	}
}

// Held jobs behind many that have ended are found at once, and so is any other state of live jobs.
func TestLiveJobsAreFoundBehindThoseThatHaveEnded(t *testing.T) {
	d := newDesk(t, handle(echoing))
	held := d.submit(t, "shop.order", order{}, functions.Held())
	subs := make([]functions.Submission, 2500)
	for i := range subs {
		subs[i] = functions.Submission{Kind: "shop.order", Args: order{}}
	}
	if _, err := d.Client().SubmitMany(t.Context(), subs); err != nil {
		t.Fatal(err)
	}
	d.drain(t)
	queued := d.submit(t, "shop.order", order{})
	for _, c := range []struct {
		states []store.State
		want   []string
	}{
		{[]store.State{store.Held}, []string{held}},
		{[]store.State{store.Queued, store.Held}, []string{queued, held}},
		{[]store.State{store.Running}, []string{}},
	} {
		page, err := d.Client().List(t.Context(), functions.ListFilter{States: c.states})
		got := []string{}
		for _, i := range page.Jobs {
			got = append(got, i.ID)
		}
		if err != nil || !slices.Equal(got, c.want) || page.Next != "" || page.Scanned != 2 || !page.Until.IsZero() {
			t.Errorf("%v: jobs %v, next %q, scanned %d until %v, error %v; want %v of 2", c.states, got, page.Next, page.Scanned, page.Until, err, c.want)
		}
	}
}

func TestFiltersOfLists(t *testing.T) {
	reg := handle(echoing)
	functions.Handle(reg, "other", echoing, functions.Queue("slow"))
	d := newDesk(t, reg)
	first := d.clock()
	one := d.submit(t, "shop.order", order{}, functions.Key("k1"))
	d.advance(time.Minute)
	two := d.submit(t, "other", order{}, functions.Key("k1"))
	d.advance(time.Minute)
	three := d.submit(t, "shop.order", order{}, functions.Key("k2"), functions.Queue("slow"))
	for name, c := range map[string]struct {
		filter functions.ListFilter
		want   []string
	}{
		"key":              {functions.ListFilter{Key: "k1"}, []string{two, one}},
		"key and kind":     {functions.ListFilter{Key: "k1", Kind: "other"}, []string{two}},
		"key and state":    {functions.ListFilter{Key: "k1", States: []store.State{store.Held}}, nil},
		"no such key":      {functions.ListFilter{Key: "k3"}, nil},
		"queue":            {functions.ListFilter{Queue: "slow"}, []string{three, two}},
		"default queue":    {functions.ListFilter{Queue: "default"}, []string{one}},
		"queue and states": {functions.ListFilter{Queue: "slow", States: []store.State{store.Queued, store.Running}}, []string{two, three}},
		"from":             {functions.ListFilter{CreatedFrom: first.Add(time.Minute)}, []string{three, two}},
		"before":           {functions.ListFilter{CreatedBefore: first.Add(time.Minute)}, []string{one}},
		"before, live":     {functions.ListFilter{CreatedBefore: first.Add(time.Minute), States: []store.State{store.Queued}}, []string{one}},
		"long ago":         {functions.ListFilter{CreatedBefore: time.Unix(0, 0)}, nil},
	} {
		list, err := d.Client().List(t.Context(), c.filter)
		var got []string
		for _, i := range list.Jobs {
			got = append(got, i.ID)
		}
		if err != nil || !slices.Equal(got, c.want) || list.Next != "" {
			t.Errorf("%s: jobs %v, next %q, error %v, want %v", name, got, list.Next, err, c.want)
		}
	}
	_, err := d.Client().List(t.Context(), functions.ListFilter{Key: "k1", Cursor: "x"})
	wantErr(t, err, store.ErrCursor, "one page")
}

// A list of all jobs goes on when a job of a new kind is submitted in between.
func TestAListGoesOnWhenAKindIsAdded(t *testing.T) {
	reg := handle(echoing)
	functions.Handle(reg, "other", echoing)
	d := newDesk(t, reg)
	for range 3 {
		d.submit(t, "shop.order", order{})
		d.advance(time.Second)
	}
	n := 0
	for _, err := range d.Client().Jobs(t.Context(), functions.ListFilter{Limit: 1}) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 1 {
			d.submit(t, "other", order{})
		}
	}
	if n != 3 {
		t.Errorf("%d jobs, want the 3 that were there", n)
	}
}

func TestLiveJobsAreCounted(t *testing.T) {
	d := newDesk(t, handle(echoing))
	d.once(t, "shop.order", order{})
	none, err := d.Client().Count(t.Context(), 0)
	text, marshal := json.Marshal(none)
	if err := errors.Join(err, marshal); err != nil || string(text) != `{"jobs":[],"queues":[],"scanned":0,"at_least":false}` {
		t.Errorf("without live jobs: %s, %v, want nothing", text, err)
	}
	d.submit(t, "shop.order", order{}, functions.After(time.Hour))
	d.submit(t, "shop.order", order{})
	d.advance(time.Minute)
	d.submit(t, "shop.order", order{})
	d.advance(time.Second)
	d.submit(t, "shop.order", order{}, functions.Queue("fast"))
	d.submit(t, "shop.order", order{}, functions.Held())
	d.advance(time.Second)
	counts, err := d.Client().Count(t.Context(), 0)
	want := functions.Counts{
		Jobs: []functions.Count{
			{"shop.order", "default", store.Held, 1}, {"shop.order", "default", store.Scheduled, 1},
			{"shop.order", "default", store.Queued, 2}, {"shop.order", "fast", store.Queued, 1},
		},
		Queues:  []functions.Backlog{{"default", 2, functions.Duration(62 * time.Second)}, {"fast", 1, functions.Duration(time.Second)}},
		Scanned: 5,
	}
	if diff := cmp.Diff(want, counts); err != nil || diff != "" {
		t.Errorf("error %v, (-want +got)\n%s", err, diff)
	}
	if text, err := json.Marshal(counts); err != nil || !strings.Contains(string(text), `"oldest":"1m2s"`) {
		t.Errorf("%s, error %v, want the duration as text", text, err)
	}
	some, err := d.Client().Count(t.Context(), 2)
	if want := []functions.Backlog{{"default", 2, functions.Duration(62 * time.Second)}}; err != nil || some.Scanned != 2 || !some.AtLeast || !slices.Equal(some.Queues, want) {
		t.Errorf("of two: %+v, error %v, want %v at least", some, err, want)
	}
	_, err = d.Client().Count(t.Context(), -1)
	wantErr(t, err, functions.ErrInvalid, "1 to 100000")
	d.storeFails()
	_, err = d.Client().Count(t.Context(), 0)
	wantErr(t, err, store.ErrUnavailable)
}
