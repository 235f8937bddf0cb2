package sqldocstore

import (
	"math"
	"strings"

	"gocloud.dev/docstore/driver"
)

// mod is one modification of an Update, encoded.
type mod struct {
	path  []string
	value any  // nil removes the field
	inc   bool // add value to the field
}

// encodeMods encodes modifications and refuses those that can never be applied, so
// that the writer meets only what depends on the stored document.
func (l *layout) encodeMods(mods []driver.Mod) ([]mod, error) {
	out := make([]mod, len(mods))
	for i, m := range mods {
		v, inc := m.Value, false
		if op, ok := v.(driver.IncOp); ok {
			v, inc = op.Amount, true
		}
		enc, err := encodeValue(v)
		if err != nil {
			return nil, err
		}
		out[i] = mod{m.FieldPath, enc, inc}
		if err := l.checkMod(out[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (l *layout) checkMod(m mod) error {
	name := m.path[0]
	if name == l.IDField || name == l.RevisionField {
		return invalidf("field %q cannot be modified", name)
	}
	if i, ok := l.colIndex[name]; ok {
		if len(m.path) > 1 {
			return invalidf("field path %q: %q is a column", strings.Join(m.path, "."), name)
		}
		return l.Columns[i].check(m.value)
	}
	// Encoding is tried here: a value that CBOR cannot hold must not fail a batch.
	_, err := encodeCBOR(m.value)
	return err
}

// applyMods is the row with the modifications made; r itself is left as it is.
func (l *layout) applyMods(r row, mods []mod) (row, error) {
	out := row{cols: append([]any(nil), r.cols...), doc: r.doc}
	var rest map[string]any
	for _, m := range mods {
		if i, ok := l.colIndex[m.path[0]]; ok {
			v, err := m.apply(out.cols[i])
			if err == nil {
				err = l.Columns[i].check(v)
			}
			if err != nil {
				return row{}, err
			}
			out.cols[i] = v
			continue
		}
		if rest == nil {
			var err error
			if rest, err = parseDoc(r.doc); err != nil {
				return row{}, err
			}
		}
		if err := m.applyTo(rest); err != nil {
			return row{}, err
		}
	}
	if rest == nil {
		return out, nil
	}
	out.doc = nil
	if len(rest) == 0 {
		return out, nil
	}
	var err error
	out.doc, err = encodeCBOR(rest)
	return out, err
}

// applyTo modifies the fields below m. Missing maps on the way are made.
func (m mod) applyTo(fields map[string]any) error {
	old, found := getPath(fields, m.path)
	v, err := m.apply(old)
	if err != nil || (v == nil && !found) {
		return err
	}
	if !setPath(fields, m.path, v) {
		return invalidf("field path %q leads through a value that is no map", strings.Join(m.path, "."))
	}
	if v == nil {
		parent, last := fields, len(m.path)-1
		for _, name := range m.path[:last] {
			parent = parent[name].(map[string]any)
		}
		delete(parent, m.path[last])
	}
	return nil
}

// apply is the field's new value.
func (m mod) apply(old any) (any, error) {
	if !m.inc || old == nil {
		return m.value, nil
	}
	v, ok := add(old, m.value)
	if !ok {
		return nil, invalidf("field path %q: cannot add %v to %v", strings.Join(m.path, "."), m.value, old)
	}
	return v, nil
}

// add adds two encoded numbers; an integer and a float make a float.
func add(x, y any) (any, bool) {
	xi, xInt := x.(int64)
	yi, yInt := y.(int64)
	if xInt && yInt {
		sum := xi + yi
		return sum, (sum > xi) == (yi > 0) // overflow turns the order around
	}
	xf, ok1 := valueDecoder{x}.number()
	yf, ok2 := valueDecoder{y}.number()
	return xf + yf, ok1 && ok2
}

// number is the value as a float, rounded if it must be.
func (d valueDecoder) number() (float64, bool) {
	switch v := d.val.(type) {
	case float64:
		return v, true
	case int64:
		return float64(v), true
	case uint64:
		return float64(v), true
	}
	return math.NaN(), false
}
