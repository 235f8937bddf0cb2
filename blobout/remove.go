package blobout

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"
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
		below, ok := strings.CutPrefix(k, root)
		id, _, inside := strings.Cut(below, "/")
		if ok && inside && checkSegment("id", id) == nil && !tidied[id] {
			tidied[id] = true
			s.removeFolders(Prefix(id))
		}
	}
	return nil
}

// RemoveAll deletes everything of a record, and returns how many blobs that were. It can be called any number of times.
func (s *Store) RemoveAll(ctx context.Context, id string) (int, error) {
	if err := checkSegment("id", id); err != nil {
		return 0, err
	}
	n, err := s.remove(ctx, Prefix(id))
	if err == nil {
		s.removeFolders(Prefix(id))
	}
	return n, err
}

// List returns all that there is of a record, attempts and payloads, in the order of the keys. Checksums are not known.
// A directory also lists files that are being written. Services may take a moment to list what is new.
func (s *Store) List(ctx context.Context, id string) ([]Part, error) {
	if err := checkSegment("id", id); err != nil {
		return nil, err
	}
	var parts []Part
	err := s.pages(ctx, Prefix(id), func(page []*blob.ListObject) error {
		for _, o := range page {
			parts = append(parts, Part{Key: o.Key, Size: o.Size})
		}
		return nil
	})
	return parts, err
}

// remove deletes the blobs below prefix, page by page.
func (s *Store) remove(ctx context.Context, prefix string) (int, error) {
	total := 0
	err := s.pages(ctx, prefix, func(page []*blob.ListObject) error {
		keys := make([]string, len(page))
		for i, o := range page {
			keys[i] = o.Key
		}
		n, err := s.deleteAll(ctx, keys)
		total += n
		return err
	})
	return total, err
}

// pages calls do for each page of the blobs below prefix.
func (s *Store) pages(ctx context.Context, prefix string, do func(page []*blob.ListObject) error) error {
	token := blob.FirstPageToken
	for len(token) > 0 {
		page, next, err := s.bucket.ListPage(ctx, token, 1000, &blob.ListOptions{Prefix: prefix})
		if err != nil {
			return wrap(err, "list %q", prefix)
		}
		if err := do(page); err != nil {
			return err
		}
		token = next
	}
	return nil
}

// deleteAll deletes keys, several at a time; gocloud has no call for many. One that is gone is no error.
func (s *Store) deleteAll(ctx context.Context, keys []string) (int, error) {
	var (
		wg      sync.WaitGroup
		mu      sync.Mutex
		errs    []error
		next    atomic.Int64
		deleted atomic.Int64
	)
	work := func() {
		for i := next.Add(1) - 1; int(i) < len(keys); i = next.Add(1) - 1 {
			err := s.bucket.Delete(ctx, keys[i])
			if err == nil {
				deleted.Add(1)
			} else if gcerrors.Code(err) != gcerrors.NotFound {
				mu.Lock()
				errs = append(errs, wrap(err, "delete %q", keys[i]))
				mu.Unlock()
				return // most likely the others fail as well; the caller comes again
			}
		}
	}
	workers := min(s.opts.Parallel, len(keys))
	if workers == 1 {
		work()
	} else {
		for range workers {
			wg.Go(work)
		}
		wg.Wait()
	}
	return int(deleted.Load()), errors.Join(errs...)
}
