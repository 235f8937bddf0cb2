package store

import (
	"bytes"
	"errors"
	"testing"

	"gocloud.dev/docstore"

	"github.com/piecework/piecework/store/internal/engine"
)

// document reads a document.
func (l *lab) document(t *testing.T, id string) *engine.Doc {
	t.Helper()
	d := &engine.Doc{ID: id}
	if err := l.coll.Get(t.Context(), d, "data", RevisionField); err != nil {
		t.Fatal(err)
	}
	return d
}

// A record that cannot be read is put off as it is, unless somebody has mended it meanwhile.
func TestACorruptRecordIsPutOff(t *testing.T) {
	onEach(t, func(t *testing.T, l *lab) {
		ctx := t.Context()
		l.queued(t, "job-1")
		garbage := []byte("garbage")
		write := func(data []byte) {
			if err := l.coll.Update(ctx, l.document(t, "job-1"), docstore.Mods{"data": data}); err != nil {
				t.Fatal(err)
			}
		}
		good := l.document(t, "job-1")
		write(garbage)
		due := func(until Time) int {
			refs, err := l.Due(ctx, shard("job-1", DueShards), until, "", 10)
			if err != nil {
				t.Fatal(err)
			}
			return len(refs)
		}
		have, err := l.Get(ctx, "job-1")
		if !errors.Is(err, ErrCorrupt) || due(t0+hour) != 1 {
			t.Fatal(err)
		}
		if err := l.DeferCorrupt(ctx, have, t0+2*hour); err != nil {
			t.Fatal(err)
		}
		r := l.document(t, "job-1")
		if !bytes.Equal(r.Data, garbage) || due(t0+hour) != 0 || due(t0+2*hour) != 1 {
			t.Errorf("data %q, %d due after two hours, want %q and 1", r.Data, due(t0+2*hour), garbage)
		}
		have, _ = l.Get(ctx, "job-1") // corrupt, as before
		write(good.Data)
		if err := l.DeferCorrupt(ctx, have, t0+9*hour); err != nil || due(t0+2*hour) != 1 {
			t.Errorf("deferred after it was repaired: error %v, %d due after two hours, want nil and 1", err, due(t0+2*hour))
		}
	})
}
