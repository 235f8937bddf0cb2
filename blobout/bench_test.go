package blobout_test

import (
	"fmt"
	"io"
	"testing"

	"github.com/piecework/piecework/blobout"
	"gocloud.dev/blob/fileblob"
	"gocloud.dev/blob/memblob"
)

func benchStores(b *testing.B) map[string]*blobout.Store {
	dir := b.TempDir()
	files, err := fileblob.OpenBucket(dir, &fileblob.Options{NoTempDir: true, Metadata: fileblob.MetadataDontWrite})
	if err != nil {
		b.Fatal(err)
	}
	memory := memblob.OpenBucket(nil)
	b.Cleanup(func() { files.Close(); memory.Close() })
	return map[string]*blobout.Store{
		"memory":            blobout.New(memory, nil),
		"directory":         blobout.New(files, &blobout.Options{Dir: dir}),
		"directory, nosync": blobout.New(files, &blobout.Options{Dir: dir, NoSync: true}),
	}
}

func BenchmarkPut(b *testing.B) {
	for name, s := range benchStores(b) {
		b.Run(name, func(b *testing.B) {
			data := make([]byte, 64<<10)
			b.SetBytes(int64(len(data)))
			for i := 0; b.Loop(); i++ {
				copy(data, fmt.Sprint(i))
				if _, err := s.Put(b.Context(), "job-1", "args", data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkStream(b *testing.B) {
	for name, s := range benchStores(b) {
		b.Run(name, func(b *testing.B) {
			block := make([]byte, 64<<10)
			const blocks = 256
			b.SetBytes(2 * blocks * int64(len(block)))
			for b.Loop() {
				w, err := s.Create(b.Context(), "job-1", "t", "out", 0, "")
				if err != nil {
					b.Fatal(err)
				}
				for range blocks {
					if _, err := w.Write(block); err != nil {
						b.Fatal(err)
					}
				}
				p, err := w.Close()
				if err != nil {
					b.Fatal(err)
				}
				r, err := s.Open(b.Context(), []blobout.Part{p}, 0, -1)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, r); err != nil {
					b.Fatal(err)
				}
				r.Close()
			}
		})
	}
}
