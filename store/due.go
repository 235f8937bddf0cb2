package store

import "context"

// DueRef is an entry of the due index.
type DueRef struct {
	ID     string
	Cursor string // the entry's place in its partition
}

// Due returns when the entry was due, as the index has it.
func (r DueRef) Due() Time { return sortTime(r.Cursor) }

// Due returns up to limit entries of one partition, of DuePartitions, that are due at or before until, the longest due
// first, from after the cursor on ("" for the start). It is one index query and costs what it returns, however many
// records exist. The index may lag: read the record before acting on it.
func (s *Store) Due(ctx context.Context, partition int, until Time, after string, limit int) ([]DueRef, error) {
	bound := pad(until) + "~" // sorts after every "#<id>" of that millisecond
	found, err := s.coll.Due(ctx, s.tries(), duePK(partition), after, bound, limit)
	refs := make([]DueRef, len(found))
	for i, r := range found {
		refs[i] = DueRef{r.ID, r.SK}
	}
	return refs, err
}

// DeferCorrupt puts off when sweep looks again at a record that cannot be read. have is what Get or GetMany gave with
// ErrCorrupt. It changes the record's place in the due index and nothing else: the data stay as they are, for somebody
// to mend. A record that was changed or deleted meanwhile is left alone, which is no error; a store that does not answer
// is not asked again, since the next sweep will.
func (s *Store) DeferCorrupt(ctx context.Context, have Job, until Time) error {
	return s.jobs.DeferDue(ctx, have, duePK(shard(have.ID, DueShards)), sortKey(until, have.ID))
}
