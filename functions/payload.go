package functions

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/piecework/piecework/blobout"
	"github.com/piecework/piecework/store"
)

// pack stores data inline if it is at most store.MaxInline long, and otherwise as a blob of the
// job.
func (rt *Runtime) pack(ctx context.Context, id, name string, data []byte) (store.Payload, error) {
	return packWith(data, func() (store.Blob, error) {
		part, err := rt.blobs.Put(ctx, id, name, data)
		return asBlob(part), err
	})
}

// pack stores data inline if it is at most store.MaxInline long, and otherwise as a blob of the
// attempt.
func (w *workspace) pack(ctx context.Context, name string, data []byte) (store.Payload, error) {
	return packWith(data, func() (store.Blob, error) { return w.put(ctx, name, data) })
}

// packWith returns the payload of data, which put stores if it is too long for the record.
func packWith(data []byte, put func() (store.Blob, error)) (store.Payload, error) {
	if len(data) <= store.MaxInline {
		return store.Payload{Inline: jsontext.Value(data)}, nil
	}
	b, err := put()
	if err != nil {
		return store.Payload{}, err
	}
	return store.Payload{Blob: &b}, nil
}

// put stores a blob of the attempt. The record may fail to list it, and an error may leave it, so
// put marks the attempt dirty first. No other blob ever has its key, so removing it takes nothing
// from another.
func (w *workspace) put(ctx context.Context, name string, data []byte) (store.Blob, error) {
	if err := w.markDirty(ctx); err != nil {
		return store.Blob{}, fmt.Errorf("%s of job %s: %w", name, w.id, err)
	}
	w.mu.Lock()
	w.serial++
	name += "-" + w.token + "-" + strconv.Itoa(w.serial)
	w.mu.Unlock()
	part, err := w.rt.blobs.Put(ctx, w.id, name, data)
	return asBlob(part), err
}

// unpack returns a payload's JSON.
func (rt *Runtime) unpack(ctx context.Context, p store.Payload) (json.RawMessage, error) {
	if p.Blob == nil {
		return json.RawMessage(p.Inline), nil
	}
	return rt.blobs.Get(ctx, asPart(*p.Blob))
}

// encodeArgs returns the arguments as JSON. It checks that the kind can read them, without unknown
// fields unless lenient.
func (rt *Runtime) encodeArgs(k *kind, args any, lenient bool) ([]byte, error) {
	if args == nil && !takesNull(k.args) {
		return nil, noArgs(k.args)
	}
	data, err := json.Marshal(args)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrArgs, err)
	}
	if !utf8.Valid(data) { // a json.RawMessage or MarshalJSON may return such text, and a record cannot hold it
		return nil, fmt.Errorf("%w: not UTF-8", ErrArgs)
	}
	if len(data) > rt.cfg.MaxArgs {
		return nil, fmt.Errorf("%w: arguments are %d bytes of JSON, at most %d; put large data into a blob and pass its key",
			ErrTooLarge, len(data), rt.cfg.MaxArgs)
	}
	if err := checkDepth(data); err != nil {
		return nil, err
	}
	if !k.fits(args) {
		if _, err := k.decode(data, !lenient); err != nil {
			return nil, err
		}
	}
	return data, nil
}

// maxDepth is how deep arguments and results may be nested. encoding/json reads 10,000 levels, some
// of them for the record or the list of jobs around them.
const maxDepth = 9_900

// checkDepth refuses JSON that is nested too deep.
func checkDepth(data []byte) error {
	if bytes.Count(data, []byte("["))+bytes.Count(data, []byte("{")) <= maxDepth {
		return nil
	}
	d := jsontext.NewDecoder(bytes.NewReader(data), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	for {
		if _, err := d.ReadToken(); err != nil {
			return nil //nolint:nilerr // the end
		}
		if d.StackDepth() > maxDepth {
			return fmt.Errorf("%w: JSON is nested deeper than %d levels", ErrTooLarge, maxDepth)
		}
	}
}

// blobPart is blobout's name for a blob with its size and checksum.
type blobPart = blobout.Part

// asPart and asBlob convert between the two packages' types for the same thing.
func asPart(b store.Blob) blobPart { return blobPart{Key: b.Key, Size: b.Size, SHA256: b.SHA256} }

func asBlob(p blobPart) store.Blob { return store.Blob{Key: p.Key, Size: p.Size, SHA256: p.SHA256} }

func asParts(blobs []store.Blob) []blobPart {
	parts := make([]blobPart, len(blobs))
	for i, b := range blobs {
		parts[i] = asPart(b)
	}
	return parts
}
