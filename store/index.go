package store

import (
	"context"
	"hash/fnv"
	"strconv"
	"strings"

	"github.com/piecework/piecework/store/internal/engine"
)

// The numbers of index partitions. They are part of the stored form: all processes must agree on
// them.
const (
	// DueShards is the number of partitions of the due index for records that sweep must act on. A
	// partition of a DynamoDB index takes 1000 writes a second.
	DueShards = 16
	// GoneShards is the number of further partitions of the due index, for ended jobs and parked
	// messages that wait only for their removal. A query for other due records does not page
	// through them.
	GoneShards = 4
	// DuePartitions is the number of partitions of the due index: first DueShards, then GoneShards.
	DuePartitions = DueShards + GoneShards
	// ListShards is the number of partitions of the list of a kind, and of the list of failed jobs.
	ListShards = 4
)

// The names of the fields. A store must have IDField as its key and RevisionField as its revision.
const (
	IDField       = engine.IDField
	RevisionField = engine.RevisionField
	// ExpiresField is the field by which a store deletes documents by itself. It is present on
	// ended jobs only, and only where Options.TTL says that the store does that.
	ExpiresField = engine.ExpiresField
)

// Columns lists the fields beside the key and the revision, for stores that declare their columns:
// data is bytes, the others are strings. ExpiresField is not listed, since only stores that act on
// it get it.
func Columns() []string {
	return []string{"data", "due_pk", "due_sk", "list_pk", "list_sk", "fail_pk", "fail_sk"}
}

// Indexes lists the fields of each index, in order.
func Indexes() [][]string {
	return [][]string{{"due_pk", "due_sk"}, {"list_pk", "list_sk"}, {"fail_pk", "fail_sk"}}
}

// pad writes a time so that it sorts as a string.
func pad(t Time) string {
	const zeros = "0000000000000000"
	digits := strconv.FormatInt(int64(max(t, 0)), 10)
	return zeros[min(len(digits), len(zeros)):] + digits
}

// shard spreads ids evenly over n partitions.
func shard(id string, n int) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id)) // never fails
	return int(h.Sum32() % uint32(n))
}

func listPK(kind string, n int) string { return "job#" + kind + "#" + strconv.Itoa(n) }
func failPK(n int) string              { return "failed#" + strconv.Itoa(n) }
func sortKey(t Time, id string) string { return pad(t) + "#" + id }

// neverKey is the sort key of a live job in the due index that is never due. It sorts after every
// time, so that sweep never reaches it and lists of live jobs find it.
func neverKey(created Time, id string) string { return "9" + sortKey(created, id)[1:] }

// duePK names a partition of the due index.
func duePK(n int) string {
	if n >= DueShards {
		return "gone#" + strconv.Itoa(n-DueShards)
	}
	return "due#" + string([]byte{byte('0' + n/10), byte('0' + n%10)})
}

// sortTime returns the time in a sort key; 0 if there is none.
func sortTime(key string) Time {
	stamp, _, _ := strings.Cut(key, "#")
	ms, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return 0
	}
	return Time(ms)
}

// MaxID is the longest id of a record in bytes.
const MaxID = engine.MaxID

// CheckID returns an error that says what is wrong with the id of a record, or nil. An id is 1 to
// MaxID bytes long: ASCII letters, digits and "-", ".", "_", ":", "~" and "@", with a letter or
// digit first. Every store, queue, bucket and URL takes such ids as they are, so no verb passes
// another id to a driver.
func CheckID(id string) error { return engine.CheckID(id) }

// DueRef is an entry of the due index.
type DueRef struct {
	ID     string
	Cursor string // the entry's place in its partition
}

// Due returns when the entry was due, as the index has it.
func (r DueRef) Due() Time { return sortTime(r.Cursor) }

// Due returns up to limit entries of one partition, of DuePartitions, that are due at or before
// until, the longest due first, starting after the cursor ("" for the start). It is one index
// query, and costs what it returns, however many records there are. The index may lag: read the
// record before acting on it.
func (s *Store) Due(ctx context.Context, partition int, until Time, after string, limit int) ([]DueRef, error) {
	bound := pad(until) + "~" // sorts after every "#<id>" of that millisecond
	found, err := s.coll.Due(ctx, s.tries(), duePK(partition), after, bound, limit)
	refs := make([]DueRef, len(found))
	for i, r := range found {
		refs[i] = DueRef{r.ID, r.SK}
	}
	return refs, err
}

// DeferCorrupt makes a record that cannot be read due later. have is what Get or GetMany returned
// with ErrCorrupt. It changes the record's place in the due index and nothing else: the data stay
// as they are, for an operator to repair. A record that was changed or deleted meanwhile is left
// alone, which is no error. A store that does not answer is not asked again, since the next sweep
// tries again.
func (s *Store) DeferCorrupt(ctx context.Context, have Job, until Time) error {
	return s.jobs.DeferDue(ctx, have, duePK(shard(have.ID, DueShards)), sortKey(until, have.ID))
}
