package tripwire

import (
	"gocloud.dev/docstore"

	"github.com/piecework/piecework/localdev/internal/relay"
)

// Docs returns a collection that forwards to inner, with the wire before each list that writes.
func Docs(inner *docstore.Collection, wire *Wire) *docstore.Collection {
	return relay.New(inner, relay.Hooks{
		Write: wire.Do,
		Read: func(do func() error) error {
			if err := wire.alive(); err != nil {
				return err
			}
			return do()
		},
		Code: code,
	})
}
