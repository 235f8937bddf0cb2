package functions_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

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
		want = append([]string{d.submit(t, "shop.order", order{}, functions.Held())}, want...)
		d.advance(time.Second)
	}
	subs := make([]functions.Submission, 2500)
	for i := range subs {
		subs[i] = functions.Submission{Kind: "shop.order", Args: order{Count: i}}
	}
	if _, err := d.Client().SubmitMany(t.Context(), subs); err != nil {
		t.Fatal(err)
	}
	f := functions.ListFilter{State: store.Held}
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
		t.Errorf("held jobs %v, want %v", got, want)
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
