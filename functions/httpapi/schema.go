package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// schema returns the JSON Schema of a kind's arguments or result, nil if there is none: the type is not known here, or
// huma panics over a tag of it. Arguments may leave out any field.
func (a *API) schema(ctx context.Context, t reflect.Type, args bool) (schema json.RawMessage) {
	if t == nil {
		return nil
	}
	defer func() {
		if crashed := recover(); crashed != nil {
			a.opts.Log.LogAttrs(ctx, slog.LevelWarn, "no JSON Schema of a type", slog.String("type", t.String()), slog.Any("panic", crashed))
			schema = nil
		}
	}()
	defs := huma.NewMapRegistry("#/$defs/", uniqueNames())
	addAliases(defs, t, nil, map[reflect.Type]bool{})
	root := *defs.Schema(t, true, "Value")
	if args {
		for _, s := range defs.Map() {
			s.Required = nil
		}
	}
	root.Extensions = map[string]any{"$schema": "https://json-schema.org/draft/2020-12/schema"}
	if len(defs.Map()) > 0 {
		root.Extensions["$defs"] = defs.Map()
	}
	schema, err := json.Marshal(&root)
	if err != nil {
		panic(err)
	}
	return schema
}

// uniqueNames returns a huma namer that gives types of one name, from several packages, different names. Huma's own gives
// them the same, and then huma panics.
func uniqueNames() func(t reflect.Type, hint string) string {
	names, taken := map[reflect.Type]string{}, map[string]int{}
	return func(t reflect.Type, hint string) string {
		for t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		if names[t] == "" {
			name := huma.DefaultSchemaNamer(t, hint)
			if taken[name]++; taken[name] > 1 {
				name = fmt.Sprintf("%s%d", name, taken[name])
			}
			names[t] = name
		}
		return names[t]
	}
}

// addAliases has huma take two sorts of types for any JSON: types with JSON methods of their own,
// since their fields do not say what that is, and types that hold themselves without a struct in
// between, as in type Tree []Tree. Huma refers only to structs by name, and would describe the
// others without end. within are the types that hold t, up to the nearest struct. It panics over
// pointers that point only to pointers.
func addAliases(defs huma.Registry, t reflect.Type, within []reflect.Type, seen map[reflect.Type]bool) {
	if at := slices.Index(within, t); at >= 0 {
		i := slices.IndexFunc(within[at:], func(t reflect.Type) bool { return t.Kind() != reflect.Pointer }) // huma skips pointers
		if i < 0 {
			panic(fmt.Errorf("%s points only to pointers", t))
		}
		defs.RegisterTypeAlias(within[at+i], reflect.TypeFor[any]())
	}
	if seen[t] {
		return
	}
	seen[t] = true
	for _, own := range []reflect.Type{reflect.TypeFor[json.Marshaler](), reflect.TypeFor[json.Unmarshaler]()} {
		known := t == reflect.TypeFor[time.Time]() || t == reflect.TypeFor[json.RawMessage]()
		if !known && t.Kind() != reflect.Pointer && (t.Implements(own) || reflect.PointerTo(t).Implements(own)) {
			defs.RegisterTypeAlias(t, reflect.TypeFor[any]())
			return
		}
	}
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		addAliases(defs, t.Elem(), append(within, t), seen)
	case reflect.Struct:
		for f := range t.Fields() {
			addAliases(defs, f.Type, nil, seen)
		}
	}
}
