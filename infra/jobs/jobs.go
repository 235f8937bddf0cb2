// Package jobs is where a deployment's kinds of jobs are registered: put yours here, in the place
// of the example. The mains below infra all run what Register registers.
package jobs

import (
	"context"
	"encoding/json"

	"github.com/piecework/piecework/functions"
)

// New returns a registry with what Register registers.
func New() *functions.Registry {
	r := functions.NewRegistry()
	Register(r)
	return r
}

// Register registers the kinds.
func Register(r *functions.Registry) {
	functions.Handle(r, "example.echo", echo)
}

// echo returns its arguments.
func echo(_ context.Context, job *functions.Job[json.RawMessage]) (json.RawMessage, error) {
	return job.Args, nil
}
