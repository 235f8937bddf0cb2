package store

import (
	"errors"
	"fmt"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Manifest names a blob that lists outputs which are too many for the record: what EncodeOutputs gives. Several
// manifests continue each other, see Concat.
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

// EncodeOutputs encodes a list of outputs as manifests and records have it.
func EncodeOutputs(outputs []Output) ([]byte, error) {
	data, err := json.Marshal(outputs, tolerant)
	if err != nil {
		return nil, fmt.Errorf("encode a list of outputs: %w", err)
	}
	return data, nil
}

// DecodeOutputs reads the content of a manifest. It gives ErrManifest for data that are none.
func DecodeOutputs(data []byte) ([]Output, error) {
	var outputs []Output
	if err := json.Unmarshal(data, &outputs, tolerant); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrManifest, err)
	}
	return outputs, nil
}

// Concat joins lists of outputs that continue each other: the parts of outputs of one name add up in the order of the
// lists. Each output has its place where its name comes first. The lists are not changed.
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
