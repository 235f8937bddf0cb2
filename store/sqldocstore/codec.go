package sqldocstore

import (
	"fmt"
	"math"
	"reflect"
	"time"

	"gocloud.dev/docstore/driver"
)

var timeType = reflect.TypeFor[time.Time]()

// encodeValue turns a Go value into a tree of nil, bool, int64, uint64 (above
// MaxInt64 only), float64, string, []byte, time.Time, []any and map[string]any.
func encodeValue(v any) (any, error) {
	var e valueEncoder
	if err := driver.Encode(reflect.ValueOf(v), &e); err != nil {
		return nil, err
	}
	return e.val, nil
}

// valueEncoder is a driver.Encoder that keeps the value.
type valueEncoder struct{ val any }

func (e *valueEncoder) EncodeNil()            { e.val = nil }
func (e *valueEncoder) EncodeBool(x bool)     { e.val = x }
func (e *valueEncoder) EncodeInt(x int64)     { e.val = x }
func (e *valueEncoder) EncodeFloat(x float64) { e.val = x }
func (e *valueEncoder) EncodeString(x string) { e.val = x }

// EncodeBytes copies: the caller may go on using its slice, also while a writer
// still works on a write whose caller has stopped waiting.
func (e *valueEncoder) EncodeBytes(x []byte) { e.val = append([]byte{}, x...) }

func (e *valueEncoder) EncodeUint(x uint64) {
	if x > math.MaxInt64 {
		e.val = x
	} else {
		e.val = int64(x)
	}
}

func (e *valueEncoder) EncodeSpecial(v reflect.Value) (bool, error) {
	if v.Type() != timeType {
		return false, nil
	}
	t := v.Interface().(time.Time)
	e.val = t
	// A year beyond 9999 has no RFC 3339 form: say so now, not at the write.
	_, err := t.MarshalText()
	return true, err
}

func (e *valueEncoder) EncodeList(n int) driver.Encoder {
	list := make([]any, n)
	e.val = list
	return &listEncoder{list: list}
}

func (e *valueEncoder) EncodeMap(n int) driver.Encoder {
	m := make(map[string]any, n)
	e.val = m
	return &mapEncoder{m: m}
}

func (e *valueEncoder) ListIndex(int) { panic("sqldocstore: ListIndex outside a list") }
func (e *valueEncoder) MapKey(string) { panic("sqldocstore: MapKey outside a map") }

type listEncoder struct {
	list []any
	valueEncoder
}

func (e *listEncoder) ListIndex(i int) { e.list[i] = e.val }

type mapEncoder struct {
	m map[string]any
	valueEncoder
}

func (e *mapEncoder) MapKey(k string) { e.m[k] = e.val }

// valueDecoder is a driver.Decoder of such a tree.
type valueDecoder struct{ val any }

func (d valueDecoder) String() string            { return fmt.Sprint(d.val) }
func (d valueDecoder) AsNull() bool              { return d.val == nil }
func (d valueDecoder) AsBool() (val, ok bool)    { val, ok = d.val.(bool); return val, ok }
func (d valueDecoder) AsString() (string, bool)  { v, ok := d.val.(string); return v, ok }
func (d valueDecoder) AsBytes() ([]byte, bool)   { v, ok := d.val.([]byte); return v, ok }
func (d valueDecoder) AsInt() (int64, bool)      { v, ok := d.val.(int64); return v, ok }
func (d valueDecoder) AsInterface() (any, error) { return d.val, nil }

func (d valueDecoder) AsUint() (uint64, bool) {
	if v, ok := d.val.(uint64); ok {
		return v, true
	}
	v, ok := d.val.(int64)
	return uint64(v), ok && v >= 0
}

// AsFloat takes an integer too: an Increment by 1 of a missing field stores one.
func (d valueDecoder) AsFloat() (float64, bool) {
	switch v := d.val.(type) {
	case float64:
		return v, true
	case int64:
		return float64(v), int64(float64(v)) == v
	}
	return 0, false
}

func (d valueDecoder) ListLen() (int, bool) {
	list, ok := d.val.([]any)
	return len(list), ok
}

func (d valueDecoder) DecodeList(f func(int, driver.Decoder) bool) {
	for i, e := range d.val.([]any) {
		if !f(i, valueDecoder{e}) {
			return
		}
	}
}

func (d valueDecoder) MapLen() (int, bool) {
	m, ok := d.val.(map[string]any)
	return len(m), ok
}

func (d valueDecoder) DecodeMap(f func(string, driver.Decoder, bool) bool) {
	for k, v := range d.val.(map[string]any) {
		if !f(k, valueDecoder{v}, true) {
			return
		}
	}
}

func (d valueDecoder) AsSpecial(v reflect.Value) (bool, any, error) {
	if v.Type() != timeType {
		return false, nil, nil
	}
	if t, ok := d.val.(time.Time); ok {
		return true, t, nil
	}
	return true, nil, fmt.Errorf("cannot set a time to %v", d)
}
