package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// kindsID is the id of the directory of kinds.
const kindsID = "kinds"

// directory is the record of the kinds that jobs were ever submitted for, so that jobs of all kinds can be listed
// and a kind without a worker can be told from a misspelt one.
type directory struct {
	Version int             `json:"v"`
	Kinds   map[string]Time `json:"kinds"` // when the kind was first seen
	Extra   jsontext.Value  `json:",embed"`
}

// Kinds returns the names of the kinds in the directory, sorted. None is no error.
func (s *Store) Kinds(ctx context.Context) ([]string, error) {
	d, _, err := s.readKinds(ctx)
	return slices.Sorted(maps.Keys(d.Kinds)), err
}

// AddKinds puts kinds into the directory. It writes only if one of them is new.
func (s *Store) AddKinds(ctx context.Context, now Time, kinds ...string) error {
	for tries := s.retries(); ; {
		d, r, err := s.readKinds(ctx)
		if err != nil {
			return err
		}
		before := len(d.Kinds)
		for _, k := range kinds {
			if _, ok := d.Kinds[k]; !ok {
				d.Kinds[k] = now
			}
		}
		if len(d.Kinds) == before {
			return nil
		}
		if r.Data, err = json.Marshal(&d, json.Deterministic(true)); err != nil {
			return fmt.Errorf("encode the directory of kinds: %w", err)
		}
		if r.Rev == nil {
			err = s.coll.Create(ctx, r)
		} else {
			err = s.coll.Replace(ctx, r)
		}
		f, err := classify(ctx, err)
		switch f {
		case faultNone:
			return nil
		case faultFinal:
			return fmt.Errorf("write the directory of kinds: %w", err)
		}
		if err := tries.again(ctx, err); err != nil {
			return fmt.Errorf("write the directory of kinds: %w", err)
		}
	}
}

func (s *Store) readKinds(ctx context.Context) (directory, *record, error) {
	d := directory{Version: formatPlain, Kinds: map[string]Time{}}
	r, err := s.read(ctx, kindsID, s.retries())
	if errors.Is(err, ErrNotFound) {
		return d, &record{ID: kindsID}, nil
	}
	if err != nil {
		return d, nil, fmt.Errorf("read the directory of kinds: %w", err)
	}
	if err := json.Unmarshal(r.Data, &d); err != nil {
		return d, nil, fmt.Errorf("directory of kinds: %w: %w", ErrCorrupt, err)
	}
	if d.Version > Version {
		return d, nil, newerError(kindsID, d.Version)
	}
	return d, r, nil
}
