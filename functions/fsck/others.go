package fsck

import (
	"fmt"

	"github.com/go-json-experiment/json"

	"github.com/piecework/piecework/store"
)

// parked applies the rules for parked messages.
func (c *checker) parked(d document, files []file, f *finding) {
	if v := d.version(); v > store.Version {
		f.notef(NoteVersion, "format %d; this version knows formats up to %d and has not checked it", v, store.Version)
		return
	}
	var p store.Parked
	if err := json.Unmarshal(d.Data, &p); err != nil {
		f.problemf(RuleDecode, "%v", err)
		return
	}
	if p.ID != d.ID {
		f.problemf(RuleID, "the data say %q", p.ID)
	}
	if p.Reason == "" || p.At == 0 {
		f.problemf(RuleParked, "there is no reason or no time")
	}
	f.index(RuleParked, d.ListPK, d.ListSK, true, nounParked, sortKey(p.At, d.ID))
	f.index(RuleFail, d.FailPK, d.FailSK, false, "", "")
	f.index(RuleDueIndex, d.DuePK, d.DueSK, p.Due != 0, fmt.Sprintf("gone#%d", shardOf(d.ID, store.GoneShards)), sortKey(p.Due, d.ID))
	if p.Blob == nil {
		return
	}
	found := false
	for _, b := range files {
		switch {
		case b.Key != p.Blob.Key:
			f.spare = append(f.spare, b) // of a delivery that was not parked
		case b.Size == p.Blob.Size:
			found = true
		}
	}
	if !found {
		f.problemf(RuleParked, "there is no blob %q of %d bytes with its body", p.Blob.Key, p.Blob.Size)
	}
}

// kindsRecord is the directory of kinds.
type kindsRecord struct {
	Kinds map[string]store.Time `json:"kinds"`
}

// directory applies the rules for the directory of kinds.
func (c *checker) directory(d document, f *finding) {
	if v := d.version(); v > store.Version {
		f.notef(NoteVersion, "format %d; this version knows formats up to %d and has not checked it", v, store.Version)
		return
	}
	var k kindsRecord
	if err := json.Unmarshal(d.Data, &k); err != nil {
		f.problemf(RuleDecode, "%v", err)
	}
	if d.DuePK+d.ListPK+d.FailPK != "" {
		f.problemf(RuleDueIndex, "the directory of kinds stands in an index: %q %q %q", d.DuePK, d.ListPK, d.FailPK)
	}
}

// directoryOf finds the directory of kinds among the documents.
func directoryOf(docs []document) map[string]bool {
	kinds := map[string]bool{}
	for _, d := range docs {
		if d.ID != kindsID {
			continue
		}
		var k kindsRecord
		if err := json.Unmarshal(d.Data, &k); err != nil {
			continue // reported by the rule about decoding
		}
		for name := range k.Kinds {
			kinds[name] = true
		}
	}
	return kinds
}
