package blobout

import "context"

// Remove deletes the blobs of the given parts. One that is gone is no error; after an error some may be left.
func (s *Store) Remove(ctx context.Context, parts ...Part) error {
	keys := make([]string, len(parts))
	for i, p := range parts {
		keys[i] = p.Key
	}
	_, err := s.deleteAll(ctx, keys)
	return err
}
