package sqldocstore

import (
	"math/rand/v2"
	"strings"
	"unicode/utf8"

	"gocloud.dev/docstore/driver"
)

// row is a document as stored: a value for each declared column (nil for NULL,
// string, []byte or int64) and the other fields as CBOR, nil if there are none.
type row struct {
	cols []any
	doc  []byte
}

// size is about how many bytes the row moves, for the cap on a transaction.
func (r *row) size() int {
	n := len(r.doc)
	for _, c := range r.cols {
		switch c := c.(type) {
		case string:
			n += len(c)
		case []byte:
			n += len(c)
		}
	}
	return n
}

// encodeRow encodes a document without its key and revision.
func (l *layout) encodeRow(doc driver.Document) (row, error) {
	e := rowEncoder{l: l, row: row{cols: make([]any, len(l.Columns))}}
	if err := doc.Encode(&e); err != nil {
		return row{}, err
	}
	if e.err != nil || len(e.rest) == 0 {
		return e.row, e.err
	}
	var err error
	e.row.doc, err = encodeCBOR(e.rest)
	return e.row, err
}

// rowEncoder takes the fields of one document apart: the columns and the rest.
// It is the encoder of the document and of its fields.
type rowEncoder struct {
	l    *layout
	row  row
	rest map[string]any
	err  error
	open bool // the document's own EncodeMap has been seen
	valueEncoder
}

func (e *rowEncoder) EncodeMap(n int) driver.Encoder {
	if e.open {
		return e.valueEncoder.EncodeMap(n)
	}
	e.open = true
	return e
}

func (e *rowEncoder) MapKey(name string) {
	if name == e.l.IDField || name == e.l.RevisionField || e.err != nil {
		return
	}
	if i, ok := e.l.colIndex[name]; ok {
		e.row.cols[i] = e.val
		e.err = e.l.Columns[i].check(e.val)
		return
	}
	if e.rest == nil {
		e.rest = map[string]any{}
	}
	e.rest[name] = e.val
}

// check reports whether an encoded value can be stored in the column.
func (c Column) check(v any) error {
	switch v := v.(type) {
	case nil:
		return nil
	case string:
		if c.Type == Text {
			return checkText(c.Name, v)
		}
	case []byte:
		if c.Type == Bytes {
			return nil
		}
	case int64:
		if c.Type == Int {
			return nil
		}
	}
	return invalidf("field %q: its column holds %s, not a %T", c.Name, c.Type, v)
}

// checkText refuses what PostgreSQL cannot store, on SQLite too: so that a program
// that runs on one runs on the other.
func checkText(field, s string) error {
	if !utf8.ValidString(s) || strings.IndexByte(s, 0) >= 0 {
		return invalidf("field %q: %.40q is not UTF-8 without NUL", field, s)
	}
	return nil
}

// newRevision makes a revision: 63 random bits, never 0. A counter would have to
// survive deletion and restarts to never give one id the same revision twice; chance
// needs no memory.
func newRevision() int64 { return rand.Int64() | 1 }

// keyString is the key that Collection.Key returned, as it is stored.
func keyString(key any) (string, error) {
	s, ok := key.(string)
	if !ok {
		return "", invalidf("key %v: want a string, not a %T", key, key)
	}
	return s, checkText("key", s)
}
