package ident

import (
	"testing"

	"github.com/google/uuid"

	"github.com/piecework/piecework/store"
)

// The values are stored, so a version that gives others makes a second job of a key, or calls the same arguments others.
func TestIdsAndDigestsStayAsTheyAre(t *testing.T) {
	for _, c := range []struct {
		data, sum, id string
		exact         bool
	}{
		{`null`, "74234e98afe7498fb5daf1f36ac2d78a", "job-kd4artdesbdfkts0427pnq3chfankggtg", true},
		{`{"b":1,"a":9007199254740993}`, "c6078139f16d37bb31cec1823d29a572", "job-k2k9lqmmtekdeeustvh64sm1a5q2ih6jn", true},
		{`{"a":1.50,"b":"\u00e4<"}`, "5a8e02a67c8034a532583d58b90b3fa5", "job-krrb22b3bv8floib88ant1dl7rlqinnjg", true},
		{`{"a":1,"a":2}`, "1c53ee0df7b12fd4d65b976120c7fa6b", "job-kff3uq6kd6a6tifjicbhhdnedjaaigq96", false},
		{`{"a":"\ud83d"}`, "a94a9bf6f15826284679ce5038192eb1", "job-kikd9e59fio4o756jfa0rkbh8c7fvli5o", false},
		{`{"a":"�"}`, "ff283b920eb2db41781ef213a9c2a428", "job-kima2q7mnbkf203c769f5a4o6krt2a88h", false},
	} {
		if sum, exact := Args([]byte(c.data)); sum != c.sum || exact != c.exact {
			t.Errorf("Args(%s) = %s, %v, want %s, %v", c.data, sum, exact, c.sum, c.exact)
		}
		if id := OfKey("shop.order", c.data); id != c.id || store.CheckID(id) != nil {
			t.Errorf("OfKey(%s) = %s, %v, want %s", c.data, id, store.CheckID(id), c.id)
		}
	}
	if id, want := Of(uuid.UUID{0: 1, 15: 255}), "job-040000000000000000000000vs"; id != want || store.CheckID(id) != nil {
		t.Errorf("Of = %s, %v, want %s", id, store.CheckID(id), want)
	}
}

func TestArgumentsThatMeanTheSameHaveOneDigest(t *testing.T) {
	sum := func(s string) string { d, _ := Args([]byte(s)); return d }
	if a, b := sum(`{"a": 1, "b": "\u003c"}`), sum(`{"b":"<","a":1}`); a != b {
		t.Errorf("digests %s and %s, want one", a, b)
	}
	if a, b := sum(`9007199254740993`), sum(`9007199254740992`); a == b {
		t.Errorf("the digest %s of two numbers, want two", a)
	}
}
