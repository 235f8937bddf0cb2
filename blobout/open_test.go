package blobout_test

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/piecework/piecework/blobout"
	"gocloud.dev/blob/memblob"
	"pgregory.net/rapid"
)

// A range of the parts is the same range of their concatenation.
func TestRangesOfPartsProperty(t *testing.T) {
	bucket := memblob.OpenBucket(nil)
	defer bucket.Close()
	s := blobout.New(bucket, nil)
	rapid.Check(t, func(rt *rapid.T) {
		contents := rapid.SliceOfN(rapid.StringN(0, 9, 30), 0, 6).Draw(rt, "contents")
		whole := strings.Join(contents, "")
		offset := rapid.IntRange(0, len(whole)).Draw(rt, "offset")
		length := rapid.IntRange(-1, len(whole)+3).Draw(rt, "length")
		var parts []blobout.Part
		for i, c := range contents {
			p := write(t, s, "t", "out", i+1, c)
			if rapid.Bool().Draw(rt, "without a checksum") {
				p.SHA256 = ""
			}
			parts = append(parts, p)
		}
		end := len(whole)
		if length >= 0 {
			end = min(end, offset+length)
		}
		r, err := s.Open(t.Context(), parts, int64(offset), int64(length))
		if err != nil {
			rt.Fatal(err)
		}
		defer r.Close()
		if err := iotest.TestReader(r, []byte(whole[offset:end])); err != nil {
			rt.Error(err)
		}
	})
}

func ExampleStore_Open() {
	bucket := memblob.OpenBucket(nil)
	defer bucket.Close()
	s := blobout.New(bucket, nil)
	ctx := exampleContext()

	// The first attempt writes a part and continues in a second attempt, which writes another.
	write := func(token string, number int) blobout.Part {
		w, err := s.Create(ctx, "job-1", token, "march.csv", number, "text/csv")
		if err != nil {
			panic(err)
		}
		defer w.Abort()
		fmt.Fprintf(w, "rows of %s\n", token)
		part, err := w.Close()
		if err != nil {
			panic(err)
		}
		return part
	}
	parts := []blobout.Part{write("q7", 1), write("x2", 2)}

	r, err := s.Open(ctx, parts, 0, -1)
	if err != nil {
		panic(err)
	}
	defer r.Close()
	text, _ := io.ReadAll(r)
	fmt.Print(string(text))
	fmt.Println(parts[1].Key, parts[1].Size)
	// Output:
	// rows of q7
	// rows of x2
	// jobs/job-1/a-x2/march.csv.part-0002 11
}

func ExampleStore_Join() {
	bucket := memblob.OpenBucket(nil)
	defer bucket.Close()
	s := blobout.New(bucket, nil)
	ctx := exampleContext()
	head, _ := s.Put(ctx, "job-1", "head", []byte("id,total\n"))
	rows, _ := s.Put(ctx, "job-2", "rows", []byte("1,20\n"))
	whole, err := s.Join(ctx, "job-1", "q7", "totals.csv", "text/csv", []blobout.Part{head, rows})
	fmt.Println(whole.Key, whole.Size, err)
	// Output: jobs/job-1/a-q7/totals.csv 14 <nil>
}

func ExampleCheckName() {
	fmt.Println(blobout.CheckName("report/march.csv"))
	fmt.Println(blobout.CheckName("../march.csv"))
	// Output:
	// <nil>
	// blobout: invalid name "../march.csv": it contains ".."
}
