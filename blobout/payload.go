package blobout

import (
	"context"
	"fmt"
	"io"
)

// Put writes a payload that is too large for the record: arguments, a result, a checkpoint. Its key comes from its
// content, so that a retry writes the same blob again and nothing is left over. After nil it exists; after an error,
// and if the process dies inside, it may exist, and Put can be called again.
func (s *Store) Put(ctx context.Context, id, name string, data []byte) (Part, error) {
	if err := checkSegment("payload", name); err != nil {
		return Part{}, err
	}
	return s.put(ctx, id, payloadMark+name+"-", data)
}

// Park writes the body of a message that could not be read. The token makes the key differ from the keys of other
// deliveries of the same message.
func (s *Store) Park(ctx context.Context, id, token string, data []byte) (Part, error) {
	return s.put(ctx, id, rawMark+token+"-", data)
}

func (s *Store) put(ctx context.Context, id, prefix string, data []byte) (Part, error) {
	if err := checkSegment("id", id); err != nil {
		return Part{}, err
	}
	sum := checksum(data)
	w, err := s.create(ctx, Prefix(id)+prefix+sum[:16], binaryType)
	if err != nil {
		return Part{}, err
	}
	defer w.Abort()
	w.sum = sum
	if _, err := w.Write(data); err != nil {
		return Part{}, err
	}
	return w.Close()
}

// Get reads a payload. The error is [ErrCorrupt] if its size or checksum differs from p's.
func (s *Store) Get(ctx context.Context, p Part) ([]byte, error) {
	if p.Size == 0 { // Open opens nothing for nothing, but a payload that is gone must not read as empty
		if ok, err := s.bucket.Exists(ctx, p.Key); err != nil || !ok {
			if err == nil {
				err = ErrNotFound
			}
			return nil, fmt.Errorf("blobout: read %q: %w", p.Key, err)
		}
	}
	r, err := s.Open(ctx, []Part{p}, 0, -1)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data := make([]byte, p.Size)
	if _, err := io.ReadFull(r, data); err != nil {
		return nil, err
	}
	if _, err := r.Read(make([]byte, 1)); err != io.EOF { // the end is where the checksum is verified
		return nil, err
	}
	return data, nil
}
