package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/piecework/piecework/store/internal/engine"
)

// kindsID is the id of the directory of kinds.
const kindsID = "kinds"

// directory is the record of the kinds that jobs were ever submitted for. With it, jobs of all
// kinds can be listed, and a kind without a worker can be distinguished from a misspelt kind.
type directory struct {
	Version int                 `json:"v"`
	Kinds   map[string]Time     `json:"kinds"`          // when the kind was first seen
	Specs   map[string]KindSpec `json:"specs,omitzero"` // of kinds that a process has described
	Extra   jsontext.Value      `json:",embed"`

	id  string
	rev any
}

// kindsNoun says how the directory is stored. It is in no index.
func kindsNoun() engine.Noun[directory] {
	return engine.Noun[directory]{
		Name:    "directory of kinds",
		Version: Version,
		Head:    func(d *directory) engine.Head { return engine.Head{Version: &d.Version, ID: &d.id, Rev: &d.rev} },
		Keys:    func(directory) engine.Keys { return engine.Keys{} },
	}
}

// Kinds returns the names of the kinds in the directory, sorted. None is no error.
func (s *Store) Kinds(ctx context.Context) ([]string, error) {
	specs, err := s.KindSpecs(ctx)
	return slices.Sorted(maps.Keys(specs)), err
}

// KindSpecs returns what processes have told of the kinds in the directory, by name. A kind that no
// process has described has nothing but a name. None is no error.
func (s *Store) KindSpecs(ctx context.Context) (map[string]KindSpec, error) {
	d, err := s.kinds.Get(ctx, s.tries(), kindsID)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, fmt.Errorf("directory of kinds: %w", err)
	}
	specs := make(map[string]KindSpec, len(d.Kinds))
	for name := range d.Kinds {
		spec := d.Specs[name]
		spec.Name = name
		specs[name] = spec
	}
	return specs, nil
}

// KindSpec is what a process knows of a kind, so that others can compare. A spec with nothing but a
// name describes nothing.
type KindSpec struct {
	Name string `json:"-"`
	Own  bool   `json:"-"` // the process runs the kind's jobs: its spec replaces the stored one

	Queue    string `json:"queue,omitzero"`
	Policy   Policy `json:"policy,omitzero"`
	Deadline int64  `json:"deadline,omitzero"` // of a job after its submission, milliseconds; 0: none
	Args     string `json:"args,omitzero"`     // the shape of the arguments
	Result   string `json:"result,omitzero"`   // and of the result

	Extra jsontext.Value `json:",embed"` // members that this version does not know
}

// maxSpecs is how many kinds the directory describes, so that it stays well below the size that a
// record may have. Kinds beyond that are in it without a spec.
const maxSpecs = 200

// AddKinds puts kinds into the directory, and returns the specs that were stored before, by name. A
// spec is stored if there was none, or if its process owns the kind. It writes only if something
// changes.
func (s *Store) AddKinds(ctx context.Context, now Time, kinds ...KindSpec) (map[string]KindSpec, error) {
	if len(kinds) == 0 {
		return nil, nil
	}
	var before map[string]KindSpec
	written := false
	add := func(d directory) (directory, bool, error) {
		next := d.add(now, kinds)
		changes := !reflect.DeepEqual(next, d)
		if changes || !written { // otherwise a write whose answer was lost is seen
			before, written = d.Specs, changes
		}
		return next, changes, nil
	}
	tries, empty := s.tries(), directory{Version: formatPlain, id: kindsID}
	_, err := s.kinds.Change(ctx, tries, empty, add)
	if errors.Is(err, ErrNotFound) {
		_, err = s.kinds.Create(ctx, tries, empty.add(now, kinds))
	}
	if errors.Is(err, ErrExists) { // another process was first
		_, err = s.kinds.Change(ctx, tries, empty, add)
	}
	if err != nil {
		return nil, fmt.Errorf("directory of kinds: %w", err)
	}
	return before, nil
}

// add returns the directory with the kinds in it.
func (d directory) add(now Time, kinds []KindSpec) directory {
	seen, specs := map[string]Time{}, map[string]KindSpec{}
	maps.Copy(specs, d.Specs)
	for _, k := range kinds {
		seen[k.Name] = now
		spec := KindSpec{Queue: k.Queue, Policy: k.Policy, Deadline: k.Deadline, Args: k.Args, Result: k.Result}
		_, there := specs[k.Name]
		if (there && k.Own || !there && len(specs) < maxSpecs) && !reflect.DeepEqual(spec, KindSpec{}) {
			specs[k.Name] = spec
		}
	}
	maps.Copy(seen, d.Kinds)
	d.Kinds = seen
	if len(specs) > 0 {
		d.Specs = specs
	}
	return d
}
