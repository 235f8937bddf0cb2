package tripwire

import (
	"encoding/json"
	"fmt"

	"gocloud.dev/docstore/driver"

	"github.com/piecework/piecework/store"
)

// record is what the wire has seen of a job's record.
type record struct {
	State store.State `json:"state"`
	Run   int         `json:"run"`
	Saved int         `json:"saved"`
}

// describe says what a write does to the record of a job, as far as the record and the write before
// it tell.
func (w *Wire) describe(a *driver.Action) string {
	id := fmt.Sprint(a.Key)
	var now record
	if data, ok := dataOf(a); !ok || json.Unmarshal(data, &now) != nil {
		return "write of record " + id
	}
	w.mu.Lock()
	if w.seen == nil {
		w.seen = map[string]record{}
	}
	was := w.seen[id]
	w.seen[id] = now
	w.mu.Unlock()
	switch {
	case now.State == store.Running && now.Run > was.Run:
		return fmt.Sprintf("claim %d of %s", now.Run, id)
	case now.Saved > was.Saved:
		return fmt.Sprintf("checkpoint %d of %s", now.Saved, id)
	case now.State == store.Running:
		return "heartbeat of " + id
	case now.State.Final() && !was.State.Final():
		return "end of " + id
	case now.State.Final():
		return "follow-up of the end of " + id
	case was.State == store.Running:
		return fmt.Sprintf("end of run %d of %s", was.Run, id)
	default:
		return "write of record " + id
	}
}

// dataOf returns the encoded record that an action writes.
func dataOf(a *driver.Action) ([]byte, bool) {
	for _, m := range a.Mods {
		if len(m.FieldPath) == 1 && m.FieldPath[0] == "data" {
			data, ok := m.Value.([]byte)
			return data, ok
		}
	}
	if a.Kind == driver.Delete {
		return nil, false
	}
	v, err := a.Doc.GetField("data")
	if err != nil {
		return nil, false
	}
	data, ok := v.([]byte)
	return data, ok
}
