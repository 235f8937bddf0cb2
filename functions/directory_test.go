package functions_test

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/piecework/piecework/functions"
)

// A process that declares a kind without options submits its jobs with those of the process that
// runs them.
func TestABareDeclarationHasTheOptionsOfTheHandler(t *testing.T) {
	d := newDesk(t, handle(echoing, functions.MaxAttempts(20), functions.Queue("reports"), functions.Deadline(time.Hour),
		functions.Retries(functions.Constant(time.Minute))))
	if err := d.Announce(t.Context()); err != nil {
		t.Fatal(err)
	}
	reg := functions.NewRegistry()
	functions.Kind[order, order]("shop.order").Declare(reg)
	web := d.beside(t, reg)
	r, err := web.Client().Submit(t.Context(), "shop.order", order{})
	if err != nil {
		t.Fatal(err)
	}
	i := d.get(t, r.ID)
	if i.Queue != "reports" || i.Limits.MaxAttempts != 20 || i.Deadline.Sub(i.Created) != time.Hour {
		t.Errorf("queue %s, %d attempts, deadline after %v; want reports, 20 and 1h", i.Queue, i.Limits.MaxAttempts, i.Deadline.Sub(i.Created))
	}
	r, err = web.Client().Submit(t.Context(), "shop.order", order{}, functions.MaxAttempts(2))
	if i := d.get(t, r.ID); err != nil || i.Limits.MaxAttempts != 2 || i.Queue != "reports" {
		t.Errorf("%d attempts in queue %s, %v; want the submission's 2 in reports", i.Limits.MaxAttempts, i.Queue, err)
	}
	if d.logged("disagree") {
		t.Errorf("the processes are said to disagree: %s", d.log.String())
	}
}

// Processes that know a kind differently are told once, with the differences.
func TestProcessesThatDisagreeAboutAKindAreTold(t *testing.T) {
	d := newDesk(t, handle(echoing, functions.MaxAttempts(20), functions.Timeout(time.Minute)))
	if err := d.Announce(t.Context()); err != nil {
		t.Fatal(err)
	}
	reg := functions.NewRegistry()
	type parcel struct{ Item, Street string }
	functions.Kind[parcel, int]("shop.order", functions.MaxAttempts(3)).Declare(reg)
	web := d.beside(t, reg)
	for range 2 {
		if _, err := web.Client().Submit(t.Context(), "shop.order", parcel{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{
		"MaxAttempts: 3 here, 20 elsewhere", "Timeout: 1h0m0s here, 1m0s elsewhere", "result: int here, {item string, count int} elsewhere",
		"arguments: {Item string, Street string} here, {item string, count int} elsewhere",
	} {
		if !d.logged("kind=shop.order", want) {
			t.Errorf("no line of the log says %q:\n%s", want, d.log.String())
		}
	}
	if n := strings.Count(d.log.String(), "disagree"); n != 1 {
		t.Errorf("it is said %d times, want once", n)
	}
	// The process that runs the kind has the last word, whatever declared it first.
	if err := d.beside(t, handle(echoing, functions.MaxAttempts(20), functions.Timeout(time.Minute))).Announce(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(d.log.String(), "disagree"); n != 1 {
		t.Errorf("it is said %d times after a process that agrees, want once", n)
	}
}

// Types are compared by the JSON that they are written as.
func TestTypesOfOneShapeAgree(t *testing.T) {
	type (
		node struct {
			Next *node            `json:"next"`
			At   time.Time        `json:"at"`
			Sums map[string][]int `json:"sums"`
		}
		twin struct {
			Next *node            `json:"next"`
			At   time.Time        `json:"at"`
			Sums map[string][]int `json:"sums"`
		}
	)
	d := newDesk(t, functions.NewRegistry())
	for _, declare := range []func(*functions.Registry){
		func(r *functions.Registry) { functions.Kind[twin, any]("a").Declare(r) },
		func(r *functions.Registry) { functions.Kind[*twin, any]("a").Declare(r) },
	} {
		reg := functions.NewRegistry()
		declare(reg)
		if _, err := d.beside(t, reg).Client().Submit(t.Context(), "a", twin{}); err != nil {
			t.Fatal(err)
		}
	}
	if d.logged("disagree") {
		t.Errorf("the processes are said to disagree: %s", d.log.String())
	}
}

// A process that submits before any worker has told the options of a kind asks again, and has no
// opinion that a worker could disagree with.
func TestABareDeclarationThatIsFirst(t *testing.T) {
	d := newDesk(t, handle(echoing, functions.Queue("reports")))
	reg := functions.NewRegistry()
	functions.Kind[order, order]("shop.order").Declare(reg)
	web := d.beside(t, reg)
	submit := func(want string) {
		t.Helper()
		r, err := web.Client().Submit(t.Context(), "shop.order", order{})
		if err != nil {
			t.Fatal(err)
		}
		if i := d.get(t, r.ID); i.Queue != want {
			t.Errorf("queue %s, want %s", i.Queue, want)
		}
	}
	submit("default")
	if err := d.Announce(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.advance(time.Minute)
	submit("reports")
	if d.logged("disagree") {
		t.Errorf("the processes are said to disagree: %s", d.log.String())
	}
}

// Many goroutines that submit a kind first are told once.
func TestDisagreementIsToldOnce(t *testing.T) {
	d := newDesk(t, handle(echoing, functions.MaxAttempts(20)))
	if err := d.Announce(t.Context()); err != nil {
		t.Fatal(err)
	}
	reg := functions.NewRegistry()
	functions.Kind[order, order]("shop.order", functions.MaxAttempts(3)).Declare(reg)
	web := d.beside(t, reg)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if _, err := web.Client().Submit(t.Context(), "shop.order", order{}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := strings.Count(d.log.String(), "disagree"); n != 1 {
		t.Errorf("it is said %d times, want once", n)
	}
}

// A program that does not know the types of a kind disagrees with nobody about them.
func TestAnyFitsAllTypes(t *testing.T) {
	d := newDesk(t, handle(echoing))
	if err := d.Announce(t.Context()); err != nil {
		t.Fatal(err)
	}
	reg := functions.NewRegistry()
	functions.Kind[json.RawMessage, any]("shop.order").Declare(reg)
	if _, err := d.beside(t, reg).Client().Submit(t.Context(), "shop.order", order{}); err != nil {
		t.Fatal(err)
	}
	if d.logged("disagree") {
		t.Errorf("the processes are said to disagree: %s", d.log.String())
	}
}

type pair[T any] struct{ A, B T }

// A type that holds others in many ways is described up to a limit, and not in all of them.
func TestTypesWithoutEndAreDescribed(t *testing.T) {
	type (
		p4  = pair[pair[pair[pair[int]]]]
		p16 = pair[pair[pair[pair[pair[pair[pair[pair[pair[pair[pair[pair[p4]]]]]]]]]]]]
		p28 = pair[pair[pair[pair[pair[pair[pair[pair[pair[pair[pair[pair[p16]]]]]]]]]]]]
	)
	reg := functions.NewRegistry()
	functions.Kind[*p28, int]("a").Declare(reg)
	if _, err := newDesk(t, reg).Client().Submit(t.Context(), "a", json.RawMessage("null")); err != nil {
		t.Errorf("submit: %v, want nil", err)
	}
}
