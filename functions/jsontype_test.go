package functions_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/piecework/piecework/functions"
)

type (
	// Base and Opt are embedded.
	Base struct {
		Account string `json:"account"`
		Name    string `json:"name"`
		hidden  chan int
	}
	Opt struct {
		Limit int
		Name  string
		Twice bool
	}
	third  struct{ Twice, Third bool }
	tree   struct{ Children []*tree }
	opaque struct{ C chan int }
	named  struct {
		Base
		*Opt
		third
		Opaque  Opt           `json:"opaque"`
		Account string        `json:"-"`
		Own     string        `json:"own,omitempty"`
		Hook    func()        `json:"-"`
		Empty   chan int      `json:",omitzero"`
		At      time.Time     `json:"at"`
		Any     map[int]any   `json:"any"`
		Tree    tree          `json:"tree"`
		Form    opaque        `json:"form"`
		Pair    [2]*[]float64 `json:"pair"`
	}
)

func (o opaque) MarshalText() ([]byte, error)  { return []byte("x"), nil }
func (o *opaque) UnmarshalText(_ []byte) error { return nil }

func TestFieldsOfEmbeddedStructsAreToldAsJSONHasThem(t *testing.T) {
	reg := functions.NewRegistry()
	functions.Kind[named, error]("test.named").Declare(reg)
	functions.Kind[*named, any]("test.pointer").Declare(reg)
	d := newDesk(t, reg)
	data, err := json.Marshal(named{Opt: &Opt{}, Own: "x"}) //nolint:errchkjson,musttag,staticcheck // fields of all forms
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]any
	if err := json.Unmarshal(data, &members); err != nil {
		t.Fatal(err)
	}
	kinds, err := d.Client().Kinds(t.Context())
	if err != nil || len(kinds) != 2 {
		t.Fatalf("kinds %+v, %v, want 2", kinds, err)
	}
	for _, k := range kinds {
		want := []string{"account", "name", "Limit", "Name", "Third", "opaque", "own", "Empty", "at", "any", "tree", "form", "pair"}
		if !slices.Equal(k.Fields, want) {
			t.Errorf("the fields of %s are %q, want %q", k.Name, k.Fields, want)
		}
		for name := range members {
			if !slices.Contains(k.Fields, name) {
				t.Errorf("the fields of %s lack %q, which encoding/json writes", k.Name, name)
			}
		}
		_, err := d.Client().Submit(t.Context(), k.Name, json.RawMessage(`{"acount":"x"}`))
		wantErr(t, err, functions.ErrArgs, `unknown field "acount"; did you mean "account"?`)
	}
}

func TestKindsThatCanNeverBeJSONAreRefused(t *testing.T) {
	type inner struct {
		Base
		List map[string][]struct{ Hook func() }
	}
	type ring struct {
		Next *ring
		End  complex128
	}
	for want, declare := range map[string]func(r *functions.Registry){
		"Args is a chan int, which JSON cannot hold":    func(r *functions.Registry) { functions.Kind[chan int, int]("x").Declare(r) },
		"Args is the interface io.Reader, which":        func(r *functions.Registry) { functions.Kind[io.Reader, int]("x").Declare(r) },
		"Args.List[][].Hook is a func()":                func(r *functions.Registry) { functions.Kind[inner, int]("x").Declare(r) },
		"Args.End is a complex128":                      func(r *functions.Registry) { functions.Kind[*ring, int]("x").Declare(r) },
		"Args[] is a map[float64]int, whose keys":       func(r *functions.Registry) { functions.Kind[[]map[float64]int, int]("x").Declare(r) },
		"Args.R is the interface io.Reader":             func(r *functions.Registry) { functions.Kind[struct{ R io.Reader }, int]("x").Declare(r) },
		"Result.List[][].Hook is a func()":              func(r *functions.Registry) { functions.Kind[int, inner]("x").Declare(r) },
		"Result is a func() error, which JSON cannot":   func(r *functions.Registry) { functions.Kind[int, func() error]("x").Declare(r) },
		"Result is a map[struct {}]int, whose keys can": func(r *functions.Registry) { functions.Kind[int, map[struct{}]int]("x").Declare(r) },
	} {
		reg := functions.NewRegistry()
		declare(reg)
		wantErr(t, reg.Err(), functions.ErrInvalid, want, `kind "x"`)
	}
	reg := functions.NewRegistry()
	functions.Handle(reg, "x", func(context.Context, *functions.Job[func()]) (int, error) { return 0, nil })
	wantErr(t, reg.Err(), functions.ErrInvalid, "Args is a func()")

	reg = functions.NewRegistry()
	functions.Kind[any, io.Reader]("a").Declare(reg)
	functions.Kind[map[time.Time]any, struct{ E error }]("b").Declare(reg)
	functions.Kind[struct {
		R io.Reader `json:",omitempty"`
		c chan int
	}, *tree]("c").Declare(reg)
	functions.Kind[json.RawMessage, fmt.Stringer]("d").Declare(reg)
	if err := reg.Err(); err != nil {
		t.Errorf("types that JSON can hold: %v", err)
	}
	if strings.Contains(fmt.Sprint(Base{}.hidden, struct{ c chan int }{}.c), "x") { // both are used
		t.Fatal()
	}
}
