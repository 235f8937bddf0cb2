package fsck

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"gocloud.dev/gcerrors"

	"github.com/piecework/piecework/store"
)

// lists are the outputs of a record with those in its manifests.
type lists struct {
	open, outputs []store.Output
	complete      bool // all manifests could be read
}

// lists reads the manifests of a record. One that cannot be read breaks the rule for what it lists.
func (c *checker) lists(ctx context.Context, j store.Job, f *finding) (lists, error) {
	all := lists{complete: true}
	read := func(rule string, m store.Manifest) ([]store.Output, error) {
		list, text, err := c.manifest(ctx, m)
		if text != "" {
			all.complete = false
			f.problemf(rule, "list of outputs %q: %s", m.Blob.Key, text)
		}
		return list, err
	}
	var open [][]store.Output
	for _, m := range j.OpenIn {
		list, err := read(RulePayload, m)
		if err != nil {
			return all, err
		}
		open = append(open, list)
	}
	all.open = store.Concat(append(open, j.Open)...)
	if all.outputs = j.Outputs; j.OutputsIn != nil {
		list, err := read(RuleOutputs, *j.OutputsIn)
		if err != nil {
			return all, err
		}
		if len(list) != j.OutputsIn.Outputs && all.complete {
			f.problemf(RuleOutputs, "the record counts %d outputs, their list has %d", j.OutputsIn.Outputs, len(list))
		}
		all.outputs = slices.Concat(list, j.Outputs) // not Concat: a name that is there twice is a problem
	}
	return all, nil
}

// keys are the keys of all blobs that a record lists, itself or in its manifests; complete says that these could all be
// read.
func (c *checker) keys(ctx context.Context, j store.Job) (keys map[string]bool, complete bool, err error) {
	all, err := c.lists(ctx, j, &finding{})
	if err != nil {
		return nil, false, err
	}
	keys = map[string]bool{}
	for _, b := range j.Blobs() {
		keys[b.Key] = true
	}
	for _, o := range append(all.open, all.outputs...) {
		for _, p := range o.Parts {
			keys[p.Key] = true
		}
	}
	return keys, all.complete, nil
}

// manifest reads a manifest. The text says what is wrong with it.
func (c *checker) manifest(ctx context.Context, m store.Manifest) (list []store.Output, text string, err error) {
	data, err := c.bucket.ReadAll(ctx, m.Blob.Key)
	if gcerrors.Code(err) == gcerrors.NotFound {
		return nil, "there is no such blob", nil
	}
	if err != nil {
		return nil, "", fmt.Errorf("fsck: read blob %q: %w", m.Blob.Key, err)
	}
	if sum := sha256.Sum256(data); m.Blob.SHA256 != "" && hex.EncodeToString(sum[:]) != m.Blob.SHA256 {
		return nil, fmt.Sprintf("its checksum is %x, want %s", sum, m.Blob.SHA256), nil
	}
	if list, err = store.DecodeOutputs(data); err != nil {
		return nil, err.Error(), nil //nolint:nilerr // the finding is the text
	}
	return list, "", nil
}
