package store

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"gocloud.dev/docstore"
)

// The numbers of index partitions. They are part of the stored form: all processes must agree on them.
const (
	// DueShards is over how many partitions of the due index the records are spread to which something is to happen. A
	// partition of a DynamoDB index takes 1000 writes a second.
	DueShards = 16
	// GoneShards is over how many more partitions of the due index the ended jobs and parked messages are spread that wait
	// for nothing but their removal, so that a search for what is due does not page through them.
	GoneShards = 4
	// DuePartitions is how many partitions the due index has: first those of DueShards, then those of GoneShards.
	DuePartitions = DueShards + GoneShards
	// ListShards is over how many partitions the list of a kind, and the list of failed jobs, is spread.
	ListShards = 4
)

// The names of the fields. A store must have IDField as its key and RevisionField as its revision.
const (
	IDField       = "id"
	RevisionField = "rev"
)

// Columns lists the fields beside the key and the revision, for stores that want to know: data is bytes, the rest
// are strings. ExpiresField is not among them: only stores that act on it get it.
func Columns() []string {
	return []string{"data", "due_pk", "due_sk", "list_pk", "list_sk", "fail_pk", "fail_sk"}
}

// Indexes lists the fields of each index, in order.
func Indexes() [][]string {
	return [][]string{{"due_pk", "due_sk"}, {"list_pk", "list_sk"}, {"fail_pk", "fail_sk"}}
}

// record is a document of the collection.
type record struct {
	ID     string `docstore:"id"`
	Rev    any    `docstore:"rev"`
	Data   []byte `docstore:"data"`
	DuePK  string `docstore:"due_pk,omitempty"`
	DueSK  string `docstore:"due_sk,omitempty"`
	ListPK string `docstore:"list_pk,omitempty"`
	ListSK string `docstore:"list_sk,omitempty"`
	FailPK string `docstore:"fail_pk,omitempty"`
	FailSK string `docstore:"fail_sk,omitempty"`
}

// dataFields are what a read by id asks for. Naming them keeps a field that a later version adds from failing the
// decoding of the whole document.
var dataFields = []docstore.FieldPath{"data", RevisionField}

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

// duePK names a partition of the due index.
func duePK(n int) string {
	if n >= DueShards {
		return "gone#" + strconv.Itoa(n-DueShards)
	}
	return "due#" + string([]byte{byte('0' + n/10), byte('0' + n%10)})
}

// duePartition is the partition of the due index in which a job stands. Versions before GoneShards wrote all jobs to
// those of DueShards, where those that have ended stay until they are removed.
func (j Job) duePartition() int {
	if j.State.Final() && (len(j.Outbox) == 0 || slices.Contains(j.Outbox, EffectRemove)) {
		return DueShards + shard(j.ID, GoneShards)
	}
	return shard(j.ID, DueShards)
}

// tolerant lets through what encoding/json does too: users' arguments and results may repeat a name, and texts of
// errors may not be UTF-8. Refusing them here would lose the record's whole write; what is not UTF-8 is replaced.
var tolerant = json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))

// encode gives the document of a job. It may have up to limit bytes.
func encode(j Job, limit int) (*record, error) {
	if j.Version = max(j.Version, formatPlain); len(j.Manifests()) > 0 {
		j.Version = max(j.Version, formatManifests)
	}
	data, err := json.Marshal(&j, tolerant)
	if err != nil {
		return nil, fmt.Errorf("encode job %s: %w: %w", j.ID, ErrTooLarge, err) // nested too deep: all else is let through
	}
	if len(data) > limit {
		return nil, fmt.Errorf("job %s: %w: %d bytes, at most %d", j.ID, ErrTooLarge, len(data), limit)
	}
	r := &record{ID: j.ID, Rev: j.rev, Data: data}
	r.index(j)
	return r, nil
}

// index gives the document the index keys of a job.
func (r *record) index(j Job) {
	if j.Due != 0 {
		r.DuePK, r.DueSK = duePK(j.duePartition()), sortKey(j.Due, j.ID)
	}
	n := shard(j.ID, ListShards)
	r.ListPK, r.ListSK = listPK(j.Kind, n), sortKey(j.Created, j.ID)
	if j.State == Failed {
		r.FailPK, r.FailSK = failPK(n), sortKey(j.Ended, j.ID)
	}
}

// changes lists what a write must change of a stored document to make it next: the data, and of each index the key if
// it moves. Fields that stay are not written, which spares stores the work on their indexes; and fields of the
// document that a later version has added stay as they are.
func (s *Store) changes(cur, next Job, r *record) docstore.Mods {
	mods := docstore.Mods{"data": r.Data}
	if cur.Due != next.Due || cur.duePartition() != next.duePartition() {
		mods["due_pk"], mods["due_sk"] = field(r.DuePK), field(r.DueSK)
	}
	if cur.Kind != next.Kind || cur.Created != next.Created {
		mods["list_pk"], mods["list_sk"] = field(r.ListPK), field(r.ListSK)
	}
	if (cur.State == Failed) != (next.State == Failed) || cur.State == Failed && cur.Ended != next.Ended {
		mods["fail_pk"], mods["fail_sk"] = field(r.FailPK), field(r.FailSK)
	}
	if cur.Expires != next.Expires {
		mods[ExpiresField] = s.opts.TTL.value(next.Expires)
	}
	return mods
}

// field is a value to set a field to, or nil to remove it.
func field(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// decode reads a document's job. A record of a newer version comes with ErrNewerRecord, as far as it can be read.
func decode(r *record) (Job, error) {
	var j Job
	if err := json.Unmarshal(r.Data, &j, tolerant); err != nil {
		var head struct {
			Version int `json:"v"`
		}
		if json.Unmarshal(r.Data, &head) == nil && head.Version > Version {
			return Job{ID: r.ID, Version: head.Version}, newerError(r.ID, head.Version)
		}
		return Job{ID: r.ID, rev: r.Rev}, fmt.Errorf("record %s: %w: %w", r.ID, ErrCorrupt, err)
	}
	j.ID, j.rev = r.ID, r.Rev
	if j.Version > Version {
		return j, newerError(r.ID, j.Version)
	}
	return j, nil
}

func newerError(id string, version int) error {
	return fmt.Errorf("record %s: %w: format %d, this version writes format %d; update this process",
		id, ErrNewerRecord, version, Version)
}
