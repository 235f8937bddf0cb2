package store

import (
	"context"
	"fmt"

	"gocloud.dev/docstore"
)

// DeferCorrupt puts off when sweep looks again at a record that cannot be read. have is what Get or GetMany gave with
// ErrCorrupt. It changes the record's place in the due index and nothing else: the data stay as they are, for somebody
// to mend. A record that was changed or deleted meanwhile is left alone, which is no error; a store that does not answer
// is not asked again, since the next sweep will.
func (s *Store) DeferCorrupt(ctx context.Context, have Job, until Time) error {
	f, err := classify(ctx, s.coll.Update(ctx, &record{ID: have.ID, Rev: have.rev}, docstore.Mods{
		"due_pk": duePK(shard(have.ID, DueShards)), "due_sk": sortKey(until, have.ID),
	}))
	switch f {
	case faultNone, faultConflict, faultMissing:
		return nil
	default:
		return fmt.Errorf("put off %s: %w", have.ID, err)
	}
}
