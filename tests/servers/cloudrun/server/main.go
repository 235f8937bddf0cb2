// Command server is the program of the deployments that package cloudrun tests: package infra/program's with
// the drivers of Google Cloud, but its tokens come from the test's issuer.
//
// It ends when its standard input does, so that it does not outlive a test that is killed.
package main

import (
	"io"
	"os"

	"github.com/piecework/piecework/functions/cloudrun"
	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/infra/drivers/gcp"
	"github.com/piecework/piecework/infra/program"
	proof "github.com/piecework/piecework/tests/servers/cloudrun"
	"github.com/piecework/piecework/tests/servers/endtoend"
)

func main() {
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // the test says nothing
		os.Exit(3)
	}()
	jobs := proof.NewRegistry(endtoend.OpenLedger(os.Getenv(endtoend.LedgerVariable)))
	program.App{
		Jobs: jobs, Drivers: []func(*drivers.Set){gcp.Register},
		Serve: func(o *cloudrun.Options) { o.Callers.Keys = os.Getenv(proof.KeysVariable) },
	}.Main()
}
