package functions

import (
	"encoding"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"reflect"
	"slices"
	"strings"

	"github.com/piecework/piecework/store"
)

// jsonField is a field of a struct, or of a struct embedded in it, as encoding/json sees it.
type jsonField struct {
	name    string
	path    string // in Go, as in "Base.Name"
	typ     reflect.Type
	tagged  bool // its name is from a tag
	omitted bool // when it is empty
	depth   int  // of the embedding
}

// structFields lists the fields that encoding/json writes and reads, in the order in which Go has
// them. A name that several fields have belongs to the one that is embedded least, among these to
// the one whose tag says so, and else to none.
func structFields(t reflect.Type) []jsonField {
	all := embeddedFields(nil, t, jsonField{}, nil)
	return slices.DeleteFunc(slices.Clone(all), func(f jsonField) bool {
		return slices.ContainsFunc(all, func(other jsonField) bool {
			return other.name == f.name && other.path != f.path &&
				(other.depth < f.depth || other.depth == f.depth && (other.tagged || !f.tagged))
		})
	})
}

// embeddedFields adds the fields of t, which is embedded in the structs of within, to a list.
func embeddedFields(list []jsonField, t reflect.Type, at jsonField, within []reflect.Type) []jsonField {
	if slices.Contains(within, t) {
		return list
	}
	within = append(slices.Clip(within), t)
	for f := range t.Fields() {
		tag := f.Tag.Get("json")
		name, options, _ := strings.Cut(tag, ",")
		inner := f.Type
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		embeds := f.Anonymous && inner.Kind() == reflect.Struct
		if tag == "-" || !f.IsExported() && !embeds {
			continue
		}
		found := jsonField{
			name: name, path: at.path + f.Name, typ: f.Type, tagged: name != "", depth: at.depth,
			omitted: strings.Contains(options, "omitempty") || strings.Contains(options, "omitzero"),
		}
		switch {
		case embeds && name == "":
			list = embeddedFields(list, inner, jsonField{path: found.path + ".", depth: at.depth + 1}, within)
			continue
		case !f.IsExported():
			continue
		case name == "":
			found.name = f.Name
		}
		list = append(list, found)
	}
	return list
}

// jsonFields lists the names of a struct's fields, or of a pointer's to one, as encoding/json has
// them.
func jsonFields(t reflect.Type) []string {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || ownForm(t) {
		return nil
	}
	fields := structFields(t)
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
	}
	return names
}

// ownForm reports whether a type, or a pointer to it, has methods that write or read it.
func ownForm(t reflect.Type) bool {
	for _, method := range []reflect.Type{
		reflect.TypeFor[json.Marshaler](), reflect.TypeFor[json.Unmarshaler](),
		reflect.TypeFor[encoding.TextMarshaler](), reflect.TypeFor[encoding.TextUnmarshaler](),
	} {
		if t.Implements(method) || reflect.PointerTo(t).Implements(method) {
			return true
		}
	}
	return false
}

// checkJSON says which part of a type encoding/json can never write, or, if it is to be read, never
// read; or nil. what names the type for people, and then the part. Parts that are left out when
// they are empty may be of any type.
func checkJSON(what string, t reflect.Type, read bool, seen map[reflect.Type]bool) error {
	if seen[t] || ownForm(t) {
		return nil
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Chan, reflect.Func, reflect.Complex64, reflect.Complex128, reflect.UnsafePointer:
		return fmt.Errorf("%w: %s is a %s, which JSON cannot hold", ErrInvalid, what, t)
	case reflect.Interface:
		if read && t.NumMethod() > 0 {
			return fmt.Errorf("%w: %s is the interface %s, which cannot be read from JSON; use a type of its own, or any",
				ErrInvalid, what, t)
		}
	case reflect.Pointer:
		return checkJSON(what, t.Elem(), read, seen)
	case reflect.Slice, reflect.Array:
		return checkJSON(what+"[]", t.Elem(), read, seen)
	case reflect.Map:
		if !isKey(t.Key()) {
			return fmt.Errorf("%w: %s is a %s, whose keys cannot be the names of JSON members; use strings or whole numbers",
				ErrInvalid, what, t)
		}
		return checkJSON(what+"[]", t.Elem(), read, seen)
	case reflect.Struct:
		for _, f := range structFields(t) {
			if f.omitted {
				continue
			}
			if err := checkJSON(what+"."+f.path, f.typ, read, seen); err != nil {
				return err
			}
		}
	}
	return nil
}

// isKey reports whether encoding/json takes a map with keys of this type.
func isKey(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.String, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return true
	default:
		return ownForm(t)
	}
}

const (
	maxShape = 200     // how long the description of a type may be, in bytes
	mostRead = 1 << 14 // how much of a type is described before that is cut
	anyShape = "any"   // describes a type that takes all JSON
)

// shapeOf describes the JSON of a type, as in {item string, count int}. Types of the same shape can
// read what each other wrote.
func shapeOf(t reflect.Type) string {
	var b strings.Builder
	describeShape(&b, t, nil)
	text := strings.ToValidUTF8(b.String(), "\uFFFD")
	if len(text) <= maxShape {
		return text
	}
	sum := fnv.New64a()
	_, _ = sum.Write([]byte(text)) // it returns no error
	return fmt.Sprintf("%s... (%x)", store.Clip(text, maxShape-24), sum.Sum64())
}

// describeShape writes what shapeOf returns, without a limit on its length but mostRead: types that
// hold one another in many ways have descriptions without end. A type within itself is described by
// its name.
func describeShape(b *strings.Builder, t reflect.Type, within []reflect.Type) {
	if b.Len() > mostRead {
		return
	}
	if t == reflect.TypeFor[json.RawMessage]() {
		b.WriteString(anyShape)
		return
	}
	if ownForm(t) || slices.Contains(within, t) {
		b.WriteString(t.String())
		return
	}
	within = append(slices.Clip(within), t)
	switch t.Kind() {
	case reflect.Pointer:
		describeShape(b, t.Elem(), within)
	case reflect.Slice, reflect.Array:
		b.WriteString("[]")
		describeShape(b, t.Elem(), within)
	case reflect.Map:
		b.WriteString("map[" + t.Key().Kind().String() + "]")
		describeShape(b, t.Elem(), within)
	case reflect.Struct:
		b.WriteString("{")
		for i, f := range structFields(t) {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(f.name + " ")
			describeShape(b, f.typ, within)
		}
		b.WriteString("}")
	case reflect.Interface:
		b.WriteString(anyShape)
	case reflect.Float32, reflect.Float64:
		b.WriteString("float")
	default:
		if t.ConvertibleTo(reflect.TypeFor[int64]()) {
			b.WriteString("int")
			return
		}
		b.WriteString(t.Kind().String())
	}
}
