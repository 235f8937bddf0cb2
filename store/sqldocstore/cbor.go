package sqldocstore

import (
	"errors"
	"fmt"
	"math"
	"reflect"

	"github.com/fxamacker/cbor/v2"
)

// The doc column holds the fields that have no column of their own, as one CBOR
// map (RFC 8949). CBOR keeps apart what JSON runs together (integers and floats,
// text and bytes) and is read by any CBOR tool. A time is tag 0, RFC 3339 text
// with nanoseconds. Map keys are sorted, so that equal documents have equal bytes.
var (
	cborEncoding = constant(cbor.EncOptions{
		Sort: cbor.SortBytewiseLexical, Time: cbor.TimeRFC3339Nano, TimeTag: cbor.EncTagRequired,
	}.EncMode())
	cborDecoding = constant(cbor.DecOptions{
		TimeTag: cbor.DecTagRequired, MaxNestedLevels: 1000, MaxArrayElements: math.MaxInt32, MaxMapPairs: math.MaxInt32,
		DefaultMapType: reflect.TypeFor[map[string]any](), IntDec: cbor.IntDecConvertNone, UTF8: cbor.UTF8DecodeInvalid,
	}.DecMode())
)

var errCBOR = errors.New("doc column does not hold a document")

// constant is for options that are constant here: an error is a mistake in this file.
func constant[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// encodeCBOR encodes a tree as made by encodeValue.
func encodeCBOR(v any) ([]byte, error) { return cborEncoding.Marshal(v) }

// parseDoc decodes the doc column. A NULL column is an empty document.
func parseDoc(b []byte) (map[string]any, error) {
	if len(b) == 0 {
		return map[string]any{}, nil
	}
	var m map[string]any
	if err := cborDecoding.Unmarshal(b, &m); err != nil {
		return nil, fmt.Errorf("%w: %w", errCBOR, err)
	}
	if m == nil {
		return nil, errCBOR
	}
	signed(m)
	return m, nil
}

// signed makes an int64 of each integer in v that fits, as encodeValue does. It
// changes lists and maps in place and returns what v itself becomes.
func signed(v any) any {
	switch v := v.(type) {
	case uint64:
		if v <= math.MaxInt64 {
			return int64(v)
		}
	case []any:
		for i := range v {
			v[i] = signed(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = signed(v[k])
		}
	}
	return v
}
