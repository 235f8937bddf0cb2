package sqldocstore

import "encoding/binary"

// PostgreSQL's type numbers, of a value and of an array of it.
var (
	valueOID = map[ColumnType]uint32{Text: 25, Bytes: 17, Int: 20}
	arrayOID = map[ColumnType]uint32{Text: 1009, Bytes: 1001, Int: 1016}
)

// arrayArg is a list as one parameter.
type arrayArg struct {
	typ  ColumnType
	vals []any
}

// appendArrayHead starts an array of n values in PostgreSQL's binary form: one
// dimension, perhaps with NULLs, counted from 1.
func appendArrayHead(b []byte, typ ColumnType, n int) []byte {
	b = binary.BigEndian.AppendUint32(b, 1)
	b = binary.BigEndian.AppendUint32(b, 1)
	b = binary.BigEndian.AppendUint32(b, valueOID[typ])
	b = binary.BigEndian.AppendUint32(b, uint32(n))
	return binary.BigEndian.AppendUint32(b, 1)
}

// appendElem appends one value of an array: its length, then the value.
func appendElem(b []byte, v any) []byte {
	switch v := v.(type) {
	case string:
		return append(binary.BigEndian.AppendUint32(b, uint32(len(v))), v...)
	case []byte:
		return appendBytes(b, v)
	case int64:
		return appendInt(b, v)
	default:
		return appendBytes(b, nil)
	}
}

// appendBytes appends a []byte, which is NULL if it is nil.
func appendBytes(b, v []byte) []byte {
	if v == nil {
		return binary.BigEndian.AppendUint32(b, 0xffffffff)
	}
	return append(binary.BigEndian.AppendUint32(b, uint32(len(v))), v...)
}

func appendInt(b []byte, v int64) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(b, 8), uint64(v))
}

// idsOID is the type of what encodeIDs returns.
var idsOID = []uint32{arrayOID[Text]}

// encodeIDs is an array of keys.
func encodeIDs(ids []string) []byte {
	b := appendArrayHead(nil, Text, len(ids))
	for _, id := range ids {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(id))), id...)
	}
	return b
}

// encodeArg is one parameter of a query, with its type.
func encodeArg(v any) ([]byte, uint32) {
	switch v := v.(type) {
	case string:
		return []byte(v), valueOID[Text]
	case int64:
		return binary.BigEndian.AppendUint64(nil, uint64(v)), valueOID[Int]
	default:
		a := v.(arrayArg)
		b := appendArrayHead(nil, a.typ, len(a.vals))
		for _, e := range a.vals {
			b = appendElem(b, e)
		}
		return b, arrayOID[a.typ]
	}
}

func encodeArgs(args []any) (vals [][]byte, oids []uint32) {
	for _, a := range args {
		v, oid := encodeArg(a)
		vals, oids = append(vals, v), append(oids, oid)
	}
	return vals, oids
}

// scanWire makes a result of the columns of a selection in binary form. It copies
// them: pgconn reuses its buffer.
func (l *layout) scanWire(s *selection, vals [][]byte) result {
	r := result{id: string(vals[0]), rev: int64(binary.BigEndian.Uint64(vals[1]))}
	if n := len(s.cols); n > 0 {
		r.cols = make([]any, n)
		for i, col := range s.cols {
			r.cols[i] = l.Columns[col].Type.parse(vals[2+i])
		}
	}
	if s.doc {
		if b := vals[len(vals)-1]; b != nil {
			r.doc = append([]byte{}, b...)
		}
	}
	return r
}

func (t ColumnType) parse(b []byte) any {
	switch {
	case b == nil:
		return nil
	case t == Text:
		return string(b)
	case t == Int:
		return int64(binary.BigEndian.Uint64(b))
	default:
		return append([]byte{}, b...)
	}
}
