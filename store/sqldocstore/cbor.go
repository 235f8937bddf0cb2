package sqldocstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"
)

// The doc column holds the fields that have no column of their own, as one CBOR
// map (RFC 8949). CBOR keeps apart what JSON runs together (integers and floats,
// text and bytes), is read by any CBOR tool, and needs few lines for the handful
// of types that docstore has. A time is tag 0, RFC 3339 text with nanoseconds.
const (
	cborUint  = 0 << 5
	cborNeg   = 1 << 5
	cborBytes = 2 << 5
	cborText  = 3 << 5
	cborArray = 4 << 5
	cborMap   = 5 << 5
	cborTag   = 6 << 5

	cborFalse   = 0xf4
	cborTrue    = 0xf5
	cborNull    = 0xf6
	cborFloat64 = 0xfb

	cborMaxDepth = 1000
)

var errCBOR = errors.New("doc column does not hold a document")

// appendCBOR appends v, a tree as made by encodeValue. Map keys are sorted, so that
// equal documents have equal bytes.
func appendCBOR(b []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(b, cborNull), nil
	case bool:
		if v {
			return append(b, cborTrue), nil
		}
		return append(b, cborFalse), nil
	case int64:
		if v < 0 {
			return appendHead(b, cborNeg, uint64(^v)), nil
		}
		return appendHead(b, cborUint, uint64(v)), nil
	case uint64:
		return appendHead(b, cborUint, v), nil
	case float64:
		return binary.BigEndian.AppendUint64(append(b, cborFloat64), math.Float64bits(v)), nil
	case string:
		return append(appendHead(b, cborText, uint64(len(v))), v...), nil
	case []byte:
		return append(appendHead(b, cborBytes, uint64(len(v))), v...), nil
	case time.Time:
		text, err := v.MarshalText()
		if err != nil {
			return nil, err
		}
		b = appendHead(append(b, cborTag), cborText, uint64(len(text)))
		return append(b, text...), nil
	case []any:
		return appendList(b, v)
	case map[string]any:
		return appendMap(b, v)
	default:
		return nil, fmt.Errorf("cannot encode a %T", v)
	}
}

func appendList(b []byte, list []any) ([]byte, error) {
	b = appendHead(b, cborArray, uint64(len(list)))
	for _, e := range list {
		var err error
		if b, err = appendCBOR(b, e); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func appendMap(b []byte, m map[string]any) ([]byte, error) {
	b = appendHead(b, cborMap, uint64(len(m)))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		b = append(appendHead(b, cborText, uint64(len(k))), k...)
		var err error
		if b, err = appendCBOR(b, m[k]); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// appendHead appends a major type with its argument in the shortest form.
func appendHead(b []byte, major byte, n uint64) []byte {
	switch {
	case n < 24:
		return append(b, major|byte(n))
	case n <= math.MaxUint8:
		return append(b, major|24, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(b, major|25), uint16(n))
	case n <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(b, major|26), uint32(n))
	default:
		return binary.BigEndian.AppendUint64(append(b, major|27), n)
	}
}

// parseDoc decodes the doc column. A NULL column is an empty document.
func parseDoc(b []byte) (map[string]any, error) {
	if len(b) == 0 {
		return map[string]any{}, nil
	}
	v, rest, err := parseCBOR(b, 0)
	if err != nil {
		return nil, err
	}
	m, ok := v.(map[string]any)
	if !ok || len(rest) > 0 {
		return nil, errCBOR
	}
	return m, nil
}

// parseCBOR decodes the first value of b, sharing no memory with b.
func parseCBOR(b []byte, depth int) (v any, rest []byte, err error) {
	if len(b) == 0 || depth > cborMaxDepth {
		return nil, nil, errCBOR
	}
	switch b[0] {
	case cborNull:
		return nil, b[1:], nil
	case cborFalse:
		return false, b[1:], nil
	case cborTrue:
		return true, b[1:], nil
	case cborFloat64:
		if len(b) < 9 {
			return nil, nil, errCBOR
		}
		return math.Float64frombits(binary.BigEndian.Uint64(b[1:])), b[9:], nil
	}
	major, n, rest, err := parseHead(b)
	if err != nil {
		return nil, nil, err
	}
	switch major {
	case cborUint:
		if n > math.MaxInt64 {
			return n, rest, nil
		}
		return int64(n), rest, nil
	case cborNeg:
		if n > math.MaxInt64 {
			return nil, nil, errCBOR
		}
		return ^int64(n), rest, nil
	case cborBytes:
		s, rest, err := parseString(rest, n)
		return append([]byte{}, s...), rest, err
	case cborText:
		s, rest, err := parseString(rest, n)
		return string(s), rest, err
	case cborArray:
		return parseList(rest, n, depth)
	case cborMap:
		return parseMap(rest, n, depth)
	default:
		return parseTime(rest, n, depth)
	}
}

func parseHead(b []byte) (major byte, n uint64, rest []byte, err error) {
	major, info := b[0]&0xe0, b[0]&0x1f
	b = b[1:]
	if info < 24 {
		return major, uint64(info), b, nil
	}
	size := 1 << (info - 24)
	if info > 27 || len(b) < size {
		return 0, 0, nil, errCBOR
	}
	for _, c := range b[:size] {
		n = n<<8 | uint64(c)
	}
	return major, n, b[size:], nil
}

func parseString(b []byte, n uint64) (s, rest []byte, err error) {
	if n > uint64(len(b)) {
		return nil, nil, errCBOR
	}
	return b[:n], b[n:], nil
}

func parseList(b []byte, n uint64, depth int) (any, []byte, error) {
	if n > uint64(len(b)) {
		return nil, nil, errCBOR
	}
	list := make([]any, n)
	for i := range list {
		var err error
		if list[i], b, err = parseCBOR(b, depth+1); err != nil {
			return nil, nil, err
		}
	}
	return list, b, nil
}

func parseMap(b []byte, n uint64, depth int) (any, []byte, error) {
	if n > uint64(len(b)) {
		return nil, nil, errCBOR
	}
	m := make(map[string]any, n)
	for range n {
		k, rest, err := parseCBOR(b, depth+1)
		if err != nil {
			return nil, nil, err
		}
		key, ok := k.(string)
		if !ok {
			return nil, nil, errCBOR
		}
		if m[key], b, err = parseCBOR(rest, depth+1); err != nil {
			return nil, nil, err
		}
	}
	return m, b, nil
}

func parseTime(b []byte, tag uint64, depth int) (any, []byte, error) {
	v, rest, err := parseCBOR(b, depth+1)
	if err != nil {
		return nil, nil, err
	}
	text, ok := v.(string)
	if !ok || tag != 0 {
		return nil, nil, errCBOR
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return nil, nil, errCBOR
	}
	return t, rest, nil
}
