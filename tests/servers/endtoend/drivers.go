package endtoend

import (
	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/infra/drivers/aws"
	"github.com/piecework/piecework/infra/drivers/azure"
	"github.com/piecework/piecework/infra/drivers/files"
	"github.com/piecework/piecework/infra/drivers/gcp"
	"github.com/piecework/piecework/infra/drivers/mongo"
	"github.com/piecework/piecework/infra/drivers/nats"
	"github.com/piecework/piecework/infra/drivers/rabbit"
	"github.com/piecework/piecework/infra/drivers/sql"
)

// LedgerVariable names the file of the ledger to the program.
const LedgerVariable = "PIECEWORK_TEST_LEDGER"

// Drivers are the drivers of all combinations.
func Drivers() []func(*drivers.Set) {
	return []func(*drivers.Set){
		aws.Register, azure.Register, files.Register, gcp.Register, mongo.Register, nats.Register, rabbit.Register, sql.Register,
	}
}
