package fsck

import (
	"fmt"
	"hash/fnv"
	"slices"

	"github.com/piecework/piecework/store"
)

// The form of the index fields is written down here a second time, on purpose.

func shardOf(id string, n uint32) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id)) // never fails
	return h.Sum32() % n
}

func sortKey(t store.Time, id string) string { return fmt.Sprintf("%016d#%s", int64(t), id) }

// indexes checks that a job stands in each index where its own fields say, and in no other place.
func (f *finding) indexes(d document, j store.Job) {
	due := sortKey(j.Due, d.ID)
	if j.Due == 0 { // a live job stands behind all that are due
		due = "9" + sortKey(j.Created, d.ID)[1:]
	}
	f.index(RuleDueIndex, d.DuePK, d.DueSK, j.Due != 0 || j.Live(), duePK(d, j), due)
	n := shardOf(d.ID, store.ListShards)
	f.index(RuleList, d.ListPK, d.ListSK, true, fmt.Sprintf("job#%s#%d", j.Kind, n), sortKey(j.Created, d.ID))
	f.index(RuleFail, d.FailPK, d.FailSK, j.State == store.Failed,
		fmt.Sprintf("failed#%d", n), sortKey(j.Ended, d.ID))
}

// duePK is the partition of the due index in which a job should stand. One that waits for its removal may also stand where
// older versions put it: sweep finds it there too.
func duePK(d document, j store.Job) string {
	due := fmt.Sprintf("due#%02d", shardOf(d.ID, store.DueShards))
	waits := len(j.Outbox) == 0 || slices.Contains(j.Outbox, store.EffectRemove)
	if !j.State.Final() || !waits || d.DuePK == due {
		return due
	}
	return fmt.Sprintf("gone#%d", shardOf(d.ID, store.GoneShards))
}

func (f *finding) index(rule, pk, sk string, want bool, wantPK, wantSK string) {
	if !want {
		wantPK, wantSK = "", ""
	}
	if pk != wantPK || sk != wantSK {
		f.problemf(rule, "stands at (%q, %q), want (%q, %q)", pk, sk, wantPK, wantSK)
	}
}
