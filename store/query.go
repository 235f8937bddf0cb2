package store

import (
	"context"
	"errors"
	"io"

	"gocloud.dev/docstore"
)

// find runs an index query and returns what it found, of which only the fields are set. If the store does not answer
// it asks again, patiently, and gives ErrUnavailable in the end.
func (s *Store) find(ctx context.Context, q *docstore.Query, fields ...docstore.FieldPath) ([]record, error) {
	for tries := s.retries(); ; {
		found, err := collect(ctx, q, fields)
		f, err := classify(ctx, err)
		if f != faultUnknown {
			return found, err
		}
		if err := tries.again(ctx, err); err != nil {
			return found, err
		}
	}
}

// collect runs a query once.
func collect(ctx context.Context, q *docstore.Query, fields []docstore.FieldPath) ([]record, error) {
	it := q.Get(ctx, fields...)
	defer it.Stop()
	var found []record
	for {
		var r record
		err := it.Next(ctx, &r)
		if errors.Is(err, io.EOF) {
			return found, nil
		}
		if err != nil {
			return found, err
		}
		found = append(found, r)
	}
}
