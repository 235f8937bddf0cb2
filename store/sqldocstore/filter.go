package sqldocstore

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
	"time"

	"gocloud.dev/docstore/driver"
)

// fieldValue is the value of a field path in a row that was read. The doc column is
// decoded once, into doc.
func (l *layout) fieldValue(r *result, s *selection, doc map[string]any, fp []string) (any, bool) {
	name := fp[0]
	if i, ok := l.colIndex[name]; ok || name == l.IDField || name == l.RevisionField {
		switch {
		case len(fp) > 1:
			return nil, false
		case name == l.IDField:
			return r.id, true
		case name == l.RevisionField:
			return r.rev, true
		}
		if j, ok := slices.BinarySearch(s.cols, i); ok {
			return r.cols[j], r.cols[j] != nil
		}
		return nil, false
	}
	v, ok := getPath(doc, fp)
	return v, ok && v != nil
}

// matches reports whether a row passes the filters.
func (l *layout) matches(filters []driver.Filter, r *result, s *selection, doc map[string]any) bool {
	for _, f := range filters {
		v, ok := l.fieldValue(r, s, doc, f.FieldPath)
		if !ok || !matches(v, f) {
			return false
		}
	}
	return true
}

// matches compares as docstore's memory driver does: values of different kinds never
// match, except that a list holds or does not hold any value.
func matches(v any, f driver.Filter) bool {
	if f.Op == "in" || f.Op == "not-in" {
		list := reflect.ValueOf(f.Value)
		for i := range list.Len() {
			if c, ok := compare(v, list.Index(i).Interface()); ok && c == 0 {
				return f.Op == "in"
			}
		}
		return f.Op == "not-in"
	}
	c, ok := compare(v, f.Value)
	if !ok {
		return false
	}
	switch f.Op {
	case driver.EqualOp:
		return c == 0
	case ">":
		return c > 0
	case "<":
		return c < 0
	case ">=":
		return c >= 0
	default:
		return c <= 0
	}
}

// compare compares two values of one kind.
func compare(x, y any) (int, bool) {
	if tx, ok := x.(time.Time); ok {
		ty, ok := y.(time.Time)
		return tx.Compare(ty), ok
	}
	vx, vy := reflect.ValueOf(x), reflect.ValueOf(y)
	if vx.Kind() == reflect.String && vy.Kind() == reflect.String {
		return strings.Compare(vx.String(), vy.String()), true
	}
	if vx.Kind() == reflect.Bool && vy.Kind() == reflect.Bool {
		if vx.Bool() == vy.Bool() {
			return 0, true
		}
		return -1, true // unequal is all that a query can ask of a bool
	}
	c, err := driver.CompareNumbers(vx, vy)
	return c, err == nil
}

// sortRows sorts rows by a field, which not every row need have: those without come
// first ascending. Values of different kinds are ordered by kind, ties by key.
func sortRows(rows []sortable, asc bool) {
	slices.SortFunc(rows, func(a, b sortable) int {
		c := compareAny(a.by, b.by)
		if c == 0 {
			c = strings.Compare(a.id, b.id)
		}
		if asc {
			return c
		}
		return -c
	})
}

// sortable is a row with the value to sort it by.
type sortable struct {
	result
	by any
}

func compareAny(x, y any) int {
	if kx, ky := rank(x), rank(y); kx != ky {
		return cmp.Compare(kx, ky)
	}
	if bx, ok := x.(bool); ok {
		by := y.(bool)
		switch {
		case bx == by:
			return 0
		case by:
			return -1
		}
		return 1
	}
	c, _ := compare(x, y)
	return c
}

func rank(v any) int {
	switch v.(type) {
	case nil:
		return 0
	case bool:
		return 1
	case int64, uint64, float64:
		return 2
	case string:
		return 3
	case time.Time:
		return 4
	}
	return 5
}
