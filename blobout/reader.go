package blobout

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"

	"gocloud.dev/blob"
)

// Open reads parts, one after the other, as one stream: length bytes from offset, or all to the end if length < 0 or
// more than there is. The first blob is opened here, so that [ErrNotFound] comes at once; the others as they are
// reached. An offset beyond the end is [ErrRange]; at the end, the stream is empty.
//
// A blob whose size differs from its part's, or which is read in full and has another checksum, ends the stream
// with [ErrCorrupt]. Bytes of a corrupt part may have been returned by then.
func (s *Store) Open(ctx context.Context, parts []Part, offset, length int64) (io.ReadCloser, error) {
	spans, err := cut(parts, offset, length)
	if err != nil {
		return nil, err
	}
	r := &reader{ctx: ctx, bucket: s.bucket, spans: spans}
	if len(spans) > 0 {
		if err := r.next(); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// span is the piece of a part to read; it is never empty.
type span struct {
	part           Part
	offset, length int64
}

// cut finds which pieces of which parts make up a range.
func cut(parts []Part, offset, length int64) ([]span, error) {
	if offset < 0 {
		return nil, fmt.Errorf("blobout: read from %d: %w", offset, ErrRange)
	}
	var spans []span
	skip, rest := offset, length
	for _, p := range parts {
		if p.Size < 0 {
			return nil, fmt.Errorf("blobout: read %q: its size is %d", p.Key, p.Size)
		}
		if skip >= p.Size {
			skip -= p.Size
			continue
		}
		n := p.Size - skip
		if length >= 0 {
			n = min(n, rest)
			rest -= n
		}
		if n > 0 {
			spans = append(spans, span{p, skip, n})
		}
		skip = 0
	}
	if skip > 0 {
		return nil, fmt.Errorf("blobout: read from %d: %w, which ends at %d", offset, ErrRange, offset-skip)
	}
	return spans, nil
}

// reader streams spans.
type reader struct {
	ctx    context.Context
	bucket *blob.Bucket
	spans  []span // still to read; the first is open, if open is not nil

	open *blob.Reader
	left int64     // of the open span
	hash hash.Hash // nil unless the whole of a part with a known checksum is read
	err  error     // what ended the stream
}

func (r *reader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	if len(p) == 0 {
		return 0, nil
	}
	if r.open == nil {
		if len(r.spans) == 0 {
			return 0, r.end(io.EOF)
		}
		if err := r.next(); err != nil {
			return 0, r.end(err)
		}
	}
	key := r.spans[0].part.Key
	n, failed := r.open.Read(p[:min(int64(len(p)), r.left)])
	r.left -= int64(n)
	if r.hash != nil {
		r.hash.Write(p[:n])
	}
	var err error
	switch {
	case r.left == 0:
		err = r.finish()
	case failed == io.EOF:
		err = fmt.Errorf("blobout: read %q: %w: %d bytes are missing", key, ErrCorrupt, r.left)
	case failed != nil:
		err = wrap(failed, "read %q", key)
	}
	if err != nil {
		return n, r.end(err)
	}
	return n, nil
}

// next opens the first of the spans.
func (r *reader) next() error {
	s := r.spans[0]
	open, err := r.bucket.NewRangeReader(r.ctx, s.part.Key, s.offset, s.length, nil)
	if err != nil {
		return wrap(err, "read %q", s.part.Key)
	}
	if open.Size() != s.part.Size {
		_ = open.Close()
		return fmt.Errorf("blobout: read %q: %w: it has %d bytes, want %d",
			s.part.Key, ErrCorrupt, open.Size(), s.part.Size)
	}
	r.open, r.left, r.hash = open, s.length, nil
	if s.length == s.part.Size && s.part.SHA256 != "" {
		r.hash = sha256.New()
	}
	return nil
}

// finish closes and verifies the span that has been read.
func (r *reader) finish() error {
	part := r.spans[0].part
	err := r.open.Close()
	r.open, r.spans = nil, r.spans[1:]
	if err != nil {
		return wrap(err, "read %q", part.Key)
	}
	if r.hash != nil {
		if sum := hex.EncodeToString(r.hash.Sum(nil)); sum != part.SHA256 {
			return fmt.Errorf("blobout: read %q: %w: its checksum is %s, want %s", part.Key, ErrCorrupt, sum, part.SHA256)
		}
	}
	return nil
}

func (r *reader) end(err error) error {
	r.err = err
	if r.open != nil {
		_ = r.open.Close()
		r.open = nil
	}
	return err
}

// Close ends the stream. It does not verify what has not been read.
func (r *reader) Close() error {
	if r.err == nil {
		_ = r.end(ErrClosed)
	}
	return nil
}
