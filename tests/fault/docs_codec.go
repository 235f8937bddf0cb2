package fault

import (
	"bytes"
	"fmt"
	"reflect"

	"gocloud.dev/docstore/driver"
)

// encode takes a copy of a document: flat, of strings, numbers, booleans and bytes, which is all that records are.
func encode(doc driver.Document) (Doc, error) {
	e := &encoder{}
	if err := doc.Encode(e); err != nil {
		return nil, err
	}
	return e.fields, nil
}

// encoder writes the top level of a document into fields, and each value into val.
type encoder struct {
	val    any
	fields Doc
}

func (e *encoder) EncodeNil()            { e.val = nil }
func (e *encoder) EncodeBool(x bool)     { e.val = x }
func (e *encoder) EncodeInt(x int64)     { e.val = x }
func (e *encoder) EncodeUint(x uint64)   { e.val = int64(x) }
func (e *encoder) EncodeBytes(x []byte)  { e.val = bytes.Clone(x) }
func (e *encoder) EncodeFloat(x float64) { e.val = x }
func (e *encoder) EncodeString(x string) { e.val = x }

// EncodeSpecial knows no special types.
func (e *encoder) EncodeSpecial(reflect.Value) (bool, error) { return false, nil }

// EncodeList is for lists, which records do not have.
func (e *encoder) EncodeList(int) driver.Encoder { panic("fault: lists are not supported") }
func (e *encoder) ListIndex(int)                 { panic("fault: lists are not supported") }

// EncodeMap begins the document.
func (e *encoder) EncodeMap(n int) driver.Encoder {
	e.fields = make(Doc, n)
	return e
}

func (e *encoder) MapKey(k string) { e.fields[k] = e.val }

// decode returns a document, or only the fields that are asked for.
func decode(doc Doc, into driver.Document, fields [][]string) error {
	if len(fields) > 0 {
		part := make(Doc, len(fields)+1)
		for _, f := range append(fields, []string{"rev"}) {
			if v, ok := doc[f[0]]; ok {
				part[f[0]] = v
			}
		}
		doc = part
	}
	return into.Decode(decoder{doc})
}

type decoder struct{ val any }

func (d decoder) String() string { return fmt.Sprint(d.val) }
func (d decoder) AsNull() bool   { return d.val == nil }

// AsBool is one of few methods of driver.Decoder whose results have one type.
func (d decoder) AsBool() (value, ok bool) {
	value, ok = d.val.(bool)
	return value, ok
}

func (d decoder) AsString() (string, bool)  { v, ok := d.val.(string); return v, ok }
func (d decoder) AsInt() (int64, bool)      { v, ok := d.val.(int64); return v, ok }
func (d decoder) AsUint() (uint64, bool)    { v, ok := d.val.(int64); return uint64(v), ok }
func (d decoder) AsFloat() (float64, bool)  { v, ok := d.val.(float64); return v, ok }
func (d decoder) AsInterface() (any, error) { return d.val, nil }

func (d decoder) AsBytes() ([]byte, bool) {
	v, ok := d.val.([]byte)
	return bytes.Clone(v), ok
}

func (d decoder) ListLen() (int, bool)                       { return 0, false }
func (d decoder) DecodeList(func(int, driver.Decoder) bool)  {}
func (d decoder) AsSpecial(reflect.Value) (bool, any, error) { return false, nil, nil }
func (d decoder) MapLen() (int, bool)                        { m, ok := d.val.(Doc); return len(m), ok }
func (d decoder) DecodeMap(f func(string, driver.Decoder, bool) bool) {
	doc, ok := d.val.(Doc)
	if !ok {
		return
	}
	for k, v := range doc {
		if !f(k, decoder{v}, true) {
			return
		}
	}
}
