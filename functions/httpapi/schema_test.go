package httpapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/httpapi/wire"
	"github.com/piecework/piecework/store"
)

// sealed has JSON of its own, which its fields do not tell.
type sealed struct{ Inner int }

func (s sealed) MarshalJSON() ([]byte, error)  { return json.Marshal([]int{s.Inner}) }
func (s *sealed) UnmarshalJSON(b []byte) error { return json.Unmarshal(b, &[]*int{&s.Inner}) }

type leaf struct {
	Name   string     `json:"name" doc:"of the leaf" enum:"oak,elm"`
	Weight float64    `json:"weight,omitempty"`
	Fallen *time.Time `json:"fallen"`
	Next   *leaf      `json:"next,omitempty"`
	Seal   sealed
}

// Types that hold themselves.
type (
	tree    []tree
	pointed []*pointed
	byName  map[string]*byName
	fixed   [2]*fixed
	listing []index
	index   map[string]listing
	either  struct {
		Trees  *[]tree `json:"trees"`
		Within []within
	}
	within      map[string]either // with a struct in between
	nest[V any] []struct {
		Value V
		Deep  nest[V]
		Lists []list[V]
	}
	list[V any] []list[V]
	wrapped     []wrap // its JSON may be anything, so that it ends there
	wrap        []wrapped
	endless     *endless
)

func (w wrap) MarshalJSON() ([]byte, error) { return json.Marshal(len(w)) }

func TestSchemasOfTypesThatHoldThemselves(t *testing.T) {
	reg := functions.NewRegistry()
	functions.Kind[tree, *[]tree]("test.tree").Declare(reg)
	functions.Kind[*pointed, pointed]("test.pointed").Declare(reg)
	functions.Kind[byName, map[string]fixed]("test.names").Declare(reg)
	functions.Kind[listing, index]("test.mutual").Declare(reg)
	functions.Kind[either, nest[int]]("test.structs").Declare(reg)
	functions.Kind[wrapped, []endless]("test.ends").Declare(reg)
	d := newDeskOf(t, reg, nil)
	const (
		draft = `"$schema":"https://json-schema.org/draft/2020-12/schema"`
		of    = `{"additionalProperties":false,"properties":{`
		array = `"type":["array","null"]`
		trees = `{"items":{},` + array + `}`
	)
	for _, c := range []struct{ kind, args, result string }{
		{"test.tree", `{` + draft + `}`, `{` + draft + `,"items":{},` + array + `}`},
		{"test.pointed", `{` + draft + `}`, `{` + draft + `}`},
		{"test.names", `{` + draft + `}`, `{` + draft + `,"additionalProperties":{},"type":"object"}`},
		{"test.mutual", `{` + draft + `}`, `{` + draft + `}`},
		{"test.structs", `{"$defs":{"Either":` + of + `"Within":{"items":{"additionalProperties":{"$ref":"#/$defs/Either"},"type":"object"},` +
			array + `},"trees":` + trees + `},"type":"object"}},"$ref":"#/$defs/Either",` + draft + `}`,
			`{"$defs":{"NestIntItem":` + of + `"Deep":{"items":{"$ref":"#/$defs/NestIntItem"},` + array + `},"Lists":` + trees +
				`,"Value":{"format":"int64","type":"integer"}},"required":["Value","Deep","Lists"],"type":"object"}},` + draft +
				`,"items":{"$ref":"#/$defs/NestIntItem"},` + array + `}`},
		{"test.ends", `{` + draft + `,"items":{},` + array + `}`, ""},
	} {
		t.Run(c.kind, func(t *testing.T) {
			k := want[wire.Kind](t, d.ask(t, "GET", "/v1/kinds/"+c.kind, ""), http.StatusOK)
			if string(k.ArgsSchema) != c.args || string(k.ResultSchema) != c.result {
				t.Errorf("schemas\n%s\n%s\nwant\n%s\n%s", k.ArgsSchema, k.ResultSchema, c.args, c.result)
			}
		})
	}
}

func TestSchemasOfKinds(t *testing.T) {
	reg := kinds()
	functions.Kind[string, int]("test.text").Declare(reg)
	functions.Kind[leaf, []leaf]("test.leaf").Declare(reg)
	type outer = leaf
	{
		type leaf struct{ Of outer } // another type of the same name
		functions.Kind[leaf, any]("test.names").Declare(reg)
	}
	type broken struct {
		Size int `minimum:"small"` // huma panics
	}
	functions.Handle(reg, "test.broken", func(context.Context, *functions.Job[broken]) (bool, error) { return true, nil })
	d := newDeskOf(t, reg, nil)
	there, err := store.New(d.coll, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := there.AddKinds(t.Context(), 1, store.KindSpec{Name: "elsewhere", Args: "{item string}"}); err != nil {
		t.Fatal(err)
	}
	const (
		draft = `"$schema":"https://json-schema.org/draft/2020-12/schema"`
		of    = `{"additionalProperties":false,"properties":{`
		order = `{"$defs":{"Order":` + of + `"count":{"format":"int64","type":"integer"},"item":{"type":"string"}},`
		noun  = of + `"Seal":{},"fallen":{"format":"date-time","type":["string","null"]},"name":{"description":"of the leaf",` +
			`"enum":["oak","elm"],"type":"string"},"next":{"$ref":"#/$defs/%s"},"weight":{"format":"double","type":"number"}},`
	)
	one := fmt.Sprintf(noun, "Leaf")
	for _, c := range []struct{ kind, args, result string }{
		{"test.order", order + `"type":"object"}},"$ref":"#/$defs/Order",` + draft + `}`,
			order + `"required":["item","count"],"type":"object"}},"$ref":"#/$defs/Order",` + draft + `}`},
		{"test.text", `{` + draft + `,"type":"string"}`, `{` + draft + `,"format":"int64","type":"integer"}`},
		{"test.leaf", `{"$defs":{"Leaf":` + one + `"type":"object"}},"$ref":"#/$defs/Leaf",` + draft + `}`,
			`{"$defs":{"Leaf":` + one + `"required":["name","fallen","Seal"],"type":"object"}},` + draft +
				`,"items":{"$ref":"#/$defs/Leaf"},"type":["array","null"]}`},
		{"test.names", `{"$defs":{"Leaf":` + of + `"Of":{"$ref":"#/$defs/Leaf2"}},"type":"object"},"Leaf2":` + fmt.Sprintf(noun, "Leaf2") +
			`"type":"object"}},"$ref":"#/$defs/Leaf",` + draft + `}`, `{` + draft + `}`},
		{"test.broken", "", `{` + draft + `,"type":"boolean"}`},
		{"elsewhere", "", ""},
	} {
		t.Run(c.kind, func(t *testing.T) {
			k := want[wire.Kind](t, d.ask(t, "GET", "/v1/kinds/"+c.kind, ""), http.StatusOK)
			if k.Name != c.kind || string(k.ArgsSchema) != c.args || string(k.ResultSchema) != c.result {
				t.Errorf("kind %q with the schemas\n%s\n%s\nwant\n%s\n%s", k.Name, k.ArgsSchema, k.ResultSchema, c.args, c.result)
			}
		})
	}
	refused(t, d.ask(t, "GET", "/v1/kinds/test.ordr", ""), http.StatusNotFound, `did you mean "test.order"?`)
}
