// Command program is the deployment that package proof runs: infra/aws with other jobs.
package main

import (
	"os"

	"github.com/piecework/piecework/infra/drivers/aws"
	"github.com/piecework/piecework/infra/program/onlambda"
	"github.com/piecework/piecework/tests/servers/endtoend"
	"github.com/piecework/piecework/tests/servers/lambda/proof"
)

func main() {
	onlambda.Main(proof.NewRegistry(endtoend.OpenLedger(os.Getenv(endtoend.LedgerVariable))), aws.Register)
}
