package store

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"gocloud.dev/docstore"
)

// DueRef is an entry of the due index.
type DueRef struct {
	ID     string
	Cursor string // the entry's place in its partition
}

// Due returns up to limit entries of one partition, of DuePartitions, that are due at or before until, the longest due
// first, from after the cursor on ("" for the start). It is one index query and costs what it returns, however many
// records exist. The index may lag: read the record before acting on it.
func (s *Store) Due(ctx context.Context, partition int, until Time, after string, limit int) ([]DueRef, error) {
	if after == "" {
		after = "!" // sorts before every digit
	}
	bound := pad(until) + "~" // sorts after every "#<id>" of that millisecond
	q := s.coll.Query().Where("due_pk", "=", duePK(partition)).Where("due_sk", "<", bound).OrderBy("due_sk", docstore.Ascending)
	if after != "!" {
		// One bound is all that DynamoDB takes on a sort key; the other is applied below.
		q = s.coll.Query().Where("due_pk", "=", duePK(partition)).Where("due_sk", ">", after).OrderBy("due_sk", docstore.Ascending)
	}
	found, err := s.find(ctx, q.Limit(limit), IDField, "due_sk")
	if err != nil {
		return nil, fmt.Errorf("due records of partition %d: %w", partition, err)
	}
	refs := make([]DueRef, 0, len(found))
	for _, r := range found {
		if r.DueSK < bound {
			refs = append(refs, DueRef{ID: r.ID, Cursor: r.DueSK})
		}
	}
	return refs, nil
}

// Due returns when the entry was due, as the index has it.
func (r DueRef) Due() Time {
	stamp, _, _ := strings.Cut(r.Cursor, "#")
	ms, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return 0
	}
	return Time(ms)
}
