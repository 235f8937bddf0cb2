package drivers

import (
	"context"
	"fmt"
)

// Provisioner creates what a store needs before it can be opened: a table, indexes, expiry.
type Provisioner interface {
	// Print returns what Apply would create, as text for other tools: SQL, a command, a file of
	// indexes. It needs no server.
	Print() (string, error)
	// Apply creates what is missing and leaves alone what exists. It may be called any number of
	// times. Something that exists but cannot work, such as an index on other fields, is an error.
	Apply(ctx context.Context) error
}

// Provisioner returns what creates the store of a configuration, and the queues if they are in it.
func (s *Set) Provisioner(c Config) (Provisioner, error) {
	a, d, err := pick(s.stores, "store", c.Store)
	if err != nil {
		return nil, err
	}
	if d.Provisioner == nil {
		return Nothing{}, nil
	}
	p, err := d.Provisioner(a, c.WithDefaults().Queues == c.Store)
	if err != nil {
		return nil, fmt.Errorf("provision store %s: %w", a, err)
	}
	return p, nil
}

// Nothing is the Provisioner of a store that needs nothing.
type Nothing struct{}

// Print says that there is nothing to create.
func (Nothing) Print() (string, error) { return "This store needs no preparation.\n", nil }

// Apply does nothing.
func (Nothing) Apply(context.Context) error { return nil }
