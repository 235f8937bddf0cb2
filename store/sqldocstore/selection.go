package sqldocstore

import (
	"slices"
	"strings"

	"gocloud.dev/docstore/driver"
)

// selection is what to read of each row: the key and the revision always, the
// columns, perhaps the doc column, as asked for by field paths.
type selection struct {
	cols  []int      // into layout.Columns
	doc   bool       // read the doc column
	paths [][]string // what of the doc column to hand out; nil for all
	rev   bool       // the revision was asked for by name
	sql   string     // the select list; tells two selections apart
}

// selectAll is the selection without field paths.
func (l *layout) selectAll() *selection {
	s := &selection{doc: true}
	for i := range l.Columns {
		s.cols = append(s.cols, i)
	}
	s.sql = l.selectList(s)
	return s
}

// selectPaths is the selection of the given field paths; none means everything.
func (l *layout) selectPaths(fps [][]string) *selection {
	if len(fps) == 0 {
		return l.all
	}
	var key []byte
	for _, fp := range fps {
		for _, name := range fp {
			key = append(append(key, name...), '.')
		}
		key = append(key, ' ')
	}
	if s, ok := l.selections.Load(string(key)); ok {
		return s.(*selection)
	}
	s := &selection{}
	for _, fp := range fps {
		l.selectPath(s, fp)
	}
	slices.Sort(s.cols)
	s.cols = slices.Compact(s.cols)
	s.sql = l.selectList(s)
	if l.selected.Add(1) <= maxSelections {
		l.selections.Store(string(key), s)
	}
	return s
}

// maxSelections caps those that are kept; a program asks for few.
const maxSelections = 100

func (l *layout) selectPath(s *selection, fp []string) {
	name := fp[0]
	switch i, isCol := l.colIndex[name]; {
	case name == l.IDField:
	case name == l.RevisionField:
		s.rev = true
	case isCol:
		if len(fp) == 1 { // a column has no fields below it
			s.cols = append(s.cols, i)
		}
	default:
		s.doc = true
		s.paths = append(s.paths, fp)
	}
}

func (l *layout) selectList(s *selection) string {
	var b strings.Builder
	b.WriteString(`"id", "rev"`)
	for _, i := range s.cols {
		b.WriteString(", " + quote(l.Columns[i].Name))
	}
	if s.doc {
		b.WriteString(`, "doc"`)
	}
	return b.String()
}

// result is one row that was read: the columns of a selection.
type result struct {
	id    string
	rev   int64
	cols  []any // parallel to selection.cols
	doc   []byte
	taken bool // a caller has it
}

// decode fills doc from a row. Like every docstore driver it refuses to decode a
// stored field that a struct does not have, unless field paths leave it out.
func (l *layout) decode(r *result, s *selection, doc driver.Document) error {
	d := rowDecoder{l: l, r: r, s: s}
	if s.doc {
		m, err := parseDoc(r.doc)
		if err != nil {
			return err
		}
		d.rest = restrict(m, s.paths)
	}
	_, isMap := doc.Origin.(map[string]any)
	switch {
	case isMap:
		// A document written without a revision field is read without one.
		d.rev = r.rev > 0 || s.rev
	default:
		d.rev = doc.HasField(l.RevisionField)
	}
	return doc.Decode(&d)
}

// rowDecoder hands out the fields of a row.
type rowDecoder struct {
	l    *layout
	r    *result
	s    *selection
	rest map[string]any
	rev  bool
	valueDecoder
}

func (d *rowDecoder) MapLen() (int, bool) { return len(d.r.cols) + len(d.rest) + 2, true }

func (d *rowDecoder) DecodeMap(f func(string, driver.Decoder, bool) bool) {
	if d.l.IDField != "" && !f(d.l.IDField, valueDecoder{d.r.id}, true) {
		return
	}
	if d.rev && !f(d.l.RevisionField, valueDecoder{d.r.rev}, true) {
		return
	}
	for i, v := range d.r.cols {
		if v != nil && !f(d.l.Columns[d.s.cols[i]].Name, valueDecoder{v}, true) {
			return
		}
	}
	for k, v := range d.rest {
		if !f(k, valueDecoder{v}, true) {
			return
		}
	}
}

// restrict is the part of m that the paths name; all of it if there are none.
func restrict(m map[string]any, paths [][]string) map[string]any {
	if len(paths) == 0 {
		return m
	}
	out := map[string]any{}
	for _, fp := range paths {
		if v, ok := getPath(m, fp); ok {
			setPath(out, fp, v)
		}
	}
	return out
}

// getPath looks a field path up; ok says that it is there.
func getPath(m map[string]any, fp []string) (v any, ok bool) {
	for _, name := range fp[:len(fp)-1] {
		if m, ok = m[name].(map[string]any); !ok {
			return nil, false
		}
	}
	v, ok = m[fp[len(fp)-1]]
	return v, ok
}

// setPath sets a field path, making the maps on the way. It reports whether a value
// that is no map stands in the way.
func setPath(m map[string]any, fp []string, v any) bool {
	for _, name := range fp[:len(fp)-1] {
		next, ok := m[name].(map[string]any)
		if !ok {
			if m[name] != nil {
				return false
			}
			next = map[string]any{}
			m[name] = next
		}
		m = next
	}
	m[fp[len(fp)-1]] = v
	return true
}
