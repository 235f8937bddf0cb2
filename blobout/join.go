package blobout

import (
	"context"
	"fmt"
	"io"
)

// Join concatenates parts into one blob, the output name of this attempt in one piece, and verifies their sizes and
// checksums on the way. The parts stay; they may belong to earlier attempts or to other records. After an error, also
// one of a part, there is no blob; if the process dies inside, neither.
func (s *Store) Join(ctx context.Context, id, token, name, contentType string, parts []Part) (Part, error) {
	w, err := s.Create(ctx, id, token, name, 0, contentType)
	if err != nil {
		return Part{}, err
	}
	defer w.Abort()
	for _, p := range parts {
		if p.Key == w.key {
			return Part{}, fmt.Errorf("blobout: join %q: it is itself one of the parts", p.Key)
		}
	}
	r, err := s.Open(ctx, parts, 0, -1)
	if err != nil {
		return Part{}, fmt.Errorf("blobout: join %q: %w", w.key, err)
	}
	defer r.Close()
	if _, err := io.Copy(w, r); err != nil {
		return Part{}, fmt.Errorf("blobout: join %q: %w", w.key, err)
	}
	return w.Close()
}
