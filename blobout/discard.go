package blobout

import (
	"context"
	"strings"
)

// Remove deletes the blobs of the given parts, and folders of their records that have become empty. One that is gone
// is no error; after an error some may be left.
func (s *Store) Remove(ctx context.Context, parts ...Part) error {
	keys := make([]string, len(parts))
	for i, p := range parts {
		keys[i] = p.Key
	}
	if _, err := s.deleteAll(ctx, keys); err != nil {
		return err
	}
	tidied := map[string]bool{}
	for _, k := range keys {
		id, _, ok := strings.Cut(strings.TrimPrefix(k, root), "/")
		if ok && s.opts.Dir != "" && strings.HasPrefix(k, root) && checkSegment("id", id) == nil && !tidied[id] {
			tidied[id] = true
			s.removeFolders(Prefix(id))
		}
	}
	return nil
}
