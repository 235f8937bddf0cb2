package store

import (
	"bytes"
	"errors"
	"testing"

	"gocloud.dev/docstore"
)

// A record that cannot be read is put off as it is, unless somebody has mended it meanwhile.
func TestACorruptRecordIsPutOff(t *testing.T) {
	onEach(t, func(t *testing.T, l *lab) {
		ctx := t.Context()
		l.queued(t, "job-1")
		garbage := []byte("garbage")
		write := func(data []byte) {
			r, err := l.Store.read(ctx, "job-1", l.retries())
			if err != nil {
				t.Fatal(err)
			}
			if err := l.coll.Update(ctx, r, docstore.Mods{"data": data}); err != nil {
				t.Fatal(err)
			}
		}
		good, err := l.Store.read(ctx, "job-1", l.retries())
		if err != nil {
			t.Fatal(err)
		}
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
		r, err := l.Store.read(ctx, "job-1", l.retries())
		if err != nil || !bytes.Equal(r.Data, garbage) || due(t0+hour) != 0 || due(t0+2*hour) != 1 {
			t.Errorf("%v, data %q, due %d", err, r.Data, due(t0+2*hour))
		}
		have, _ = l.Get(ctx, "job-1") // corrupt, as before
		write(good.Data)
		if err := l.DeferCorrupt(ctx, have, t0+9*hour); err != nil || due(t0+2*hour) != 1 {
			t.Errorf("after it was mended: %v", err)
		}
	})
}
