package store

import (
	"errors"
	"fmt"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/piecework/piecework/store/internal/engine"
)

// Blob names a blob and what it must contain.
type Blob struct {
	Key    string `json:"key"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256,omitzero"`

	Extra jsontext.Value `json:",embed"` // members that this version does not know
}

// Payload is a JSON value: kept inline, or in a blob if it is longer than MaxInline. The zero value
// is none.
type Payload struct {
	Inline jsontext.Value `json:"inline,omitzero"`
	Blob   *Blob          `json:"blob,omitzero"`

	Extra jsontext.Value `json:",embed"` // members that this version does not know
}

// IsZero reports whether there is no payload.
func (p Payload) IsZero() bool { return len(p.Inline) == 0 && p.Blob == nil && len(p.Extra) == 0 }

// Output is a named file of a job: the concatenation of its parts. Once the job has succeeded it
// has one part, unless it was too large to join.
type Output struct {
	Name        string `json:"name"`
	ContentType string `json:"type,omitzero"`
	Parts       []Blob `json:"parts"`

	Extra jsontext.Value `json:",embed"` // members that this version does not know
}

// Size is the output's length in bytes.
func (o Output) Size() int64 {
	var n int64
	for _, p := range o.Parts {
		n += p.Size
	}
	return n
}

// Manifest names a blob that lists outputs that are too many for the record. EncodeOutputs writes
// the content of the blob. Several manifests continue each other, see Concat.
type Manifest struct {
	Blob    Blob `json:"blob"`
	Level   int  `json:"level,omitzero"`   // how often its content was merged from smaller manifests
	Outputs int  `json:"outputs,omitzero"` // how many outputs it lists

	Extra jsontext.Value `json:",embed"` // members that this version does not know
}

// Manifests lists the manifests that the record refers to.
func (j Job) Manifests() []Manifest {
	if j.OutputsIn == nil {
		return j.OpenIn
	}
	return append(slices.Clip(j.OpenIn), *j.OutputsIn)
}

// ErrManifest says that a blob is no manifest.
var ErrManifest = errors.New("invalid manifest")

// EncodeOutputs encodes a list of outputs as it is in manifests and records.
func EncodeOutputs(outputs []Output) ([]byte, error) {
	data, err := json.Marshal(outputs, engine.Lenient)
	if err != nil {
		return nil, fmt.Errorf("encode a list of outputs: %w", err)
	}
	return data, nil
}

// DecodeOutputs reads the content of a manifest. It returns ErrManifest for other data.
func DecodeOutputs(data []byte) ([]Output, error) {
	var outputs []Output
	if err := json.Unmarshal(data, &outputs, engine.Lenient); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrManifest, err)
	}
	return outputs, nil
}

// Concat joins lists of outputs that continue each other: the parts of outputs of one name add up
// in the order of the lists. Each output has its place where its name comes first. The lists are
// not changed.
func Concat(lists ...[]Output) []Output {
	var all []Output
	at := map[string]int{}
	for _, list := range lists {
		for _, o := range list {
			i, ok := at[o.Name]
			if !ok {
				at[o.Name] = len(all)
				o.Parts = slices.Clip(o.Parts)
				all = append(all, o)
				continue
			}
			all[i].Parts = append(all[i].Parts, o.Parts...)
		}
	}
	return all
}
