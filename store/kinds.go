package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/piecework/piecework/store/internal/engine"
)

// kindsID is the id of the directory of kinds.
const kindsID = "kinds"

// directory is the record of the kinds that jobs were ever submitted for. With it, jobs of all
// kinds can be listed, and a kind without a worker can be distinguished from a misspelt kind.
type directory struct {
	Version int             `json:"v"`
	Kinds   map[string]Time `json:"kinds"` // when the kind was first seen
	Extra   jsontext.Value  `json:",embed"`

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
	d, err := s.kinds.Get(ctx, s.tries(), kindsID)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("directory of kinds: %w", err)
	}
	return slices.Sorted(maps.Keys(d.Kinds)), nil
}

// AddKinds puts kinds into the directory. It writes only if one of them is new.
func (s *Store) AddKinds(ctx context.Context, now Time, kinds ...string) error {
	if len(kinds) == 0 {
		return nil
	}
	add := func(d directory) (directory, bool, error) {
		next := d.add(now, kinds)
		return next, len(next.Kinds) > len(d.Kinds), nil
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
		return fmt.Errorf("directory of kinds: %w", err)
	}
	return nil
}

// add returns the directory with the kinds in it.
func (d directory) add(now Time, kinds []string) directory {
	all := map[string]Time{}
	for _, k := range kinds {
		all[k] = now
	}
	maps.Copy(all, d.Kinds)
	d.Kinds = all
	return d
}
