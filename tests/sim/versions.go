package main

import (
	"bytes"
	"context"
	"maps"
	"strings"

	"github.com/piecework/piecework/tests/fault"
)

// A newer process writes a member that older ones do not know into the jobs that it creates; in some worlds it also
// writes a format that they must not touch. The code under test is the same, so the difference is made here.

var format1 = []byte(`{"v":1,`)

// rewrite is between a process and the store.
func (w *world) rewrite(ctx context.Context, id string, before, after fault.Doc) fault.Doc {
	c := of(ctx)
	if c == nil || !strings.HasPrefix(id, "job-") {
		return after
	}
	data := after["data"].([]byte)
	if c.p.newer {
		var old []byte
		if before != nil {
			old = before["data"].([]byte)
		}
		head := format1
		if w.cfg.NewFormat && (before == nil && id[len(id)-1]%2 == 0 || bytes.HasPrefix(old, format2)) {
			head = format2
		}
		extra := ""
		if before == nil {
			extra = `"x_future":"` + id + `",`
		}
		data = append(append(bytes.Clone(head), extra...), data[len(format1):]...)
	}
	after["data"] = w.mutantWrites(c, before, data, after)
	return after
}

// reread is what a process sees of what is stored.
func (w *world) reread(ctx context.Context, id string, doc fault.Doc) fault.Doc {
	data, ok := doc["data"].([]byte)
	if !ok {
		return doc
	}
	c := of(ctx)
	if bytes.HasPrefix(data, format2) && (c == nil || c.p.newer || w.mutant == "newer-is-older") {
		data = append(bytes.Clone(format1), data[len(format2):]...)
	}
	if c != nil {
		data = w.mutantReads(c, id, data)
	}
	read := maps.Clone(doc)
	read["data"] = data
	return read
}
