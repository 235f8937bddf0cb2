package sqldocstore

import (
	"bytes"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestCBOR(t *testing.T) {
	m := map[string]any{
		"nil": nil, "true": true, "false": false, "float": -2.5, "inf": math.Inf(1),
		"bytes": []byte{0, 255}, "none": []byte{}, "text": "é", "": "empty key",
		"time": time.Date(2026, 11, 21, 23, 59, 59, 123456789, time.FixedZone("", 3600)),
		"list": []any{int64(1), "two", []any{}, map[string]any{"k": int64(-1)}},
		"uint": uint64(math.MaxUint64),
		"max":  int64(math.MaxInt64), "min": int64(math.MinInt64),
		"sizes": []any{int64(23), int64(24), int64(255), int64(256), int64(65535), int64(65536), int64(1 << 32), int64(-25)},
	}
	b, err := encodeCBOR(m)
	must(t, err)
	got, err := parseDoc(b)
	must(t, err)
	if diff := cmp.Diff(got, m); diff != "" {
		t.Error(diff)
	}
	// RFC 8949, appendix A.
	for v, want := range map[any]string{
		int64(1000000): "1a000f4240", int64(-1000): "3903e7", "IETF": "6449455446", 1.1: "fb3ff199999999999a",
		uint64(math.MaxUint64): "1bffffffffffffffff", true: "f5",
	} {
		if b, err := encodeCBOR(v); err != nil || fmt.Sprintf("%x", b) != want {
			t.Errorf("%v: got %x, %v, want %s", v, b, err, want)
		}
	}
}

func FuzzParseDoc(f *testing.F) {
	for _, v := range []any{
		map[string]any{"a": int64(1), "b": []any{"x", 2.5, nil}}, map[string]any{"t": time.Unix(0, 0).UTC(), "b": []byte("b")},
	} {
		b, err := encodeCBOR(v)
		must(f, err)
		f.Add(b)
	}
	f.Add([]byte{0x9b, 255, 255, 255, 255, 255, 255, 255, 255})
	f.Add(bytes.Repeat([]byte{0x81}, 5000))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseDoc(b)
		if err != nil || len(b) == 0 {
			return
		}
		again, err := encodeCBOR(m)
		must(t, err)
		m2, err := parseDoc(again)
		must(t, err)
		if len(m2) != len(m) {
			t.Fatalf("got %v, want %v", m2, m)
		}
	})
}
