// Package relay is package store/relay.
package relay

import "github.com/piecework/piecework/store/relay"

// All of them are those of store/relay.
type (
	Hooks = relay.Hooks
	Run   = relay.Run
	Ask   = relay.Ask
	Error = relay.Error
)

// New is relay.New of store/relay.
var New = relay.New
