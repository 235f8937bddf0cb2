// Command azure runs jobs on Azure: Cosmos DB by its API for MongoDB, Service Bus and Blob Storage.
// In Azure Container Apps it is a worker that pulls, or a server.
package main

import (
	"github.com/piecework/piecework/infra/drivers/azure"
	"github.com/piecework/piecework/infra/drivers/mongo"
	"github.com/piecework/piecework/infra/jobs"
	"github.com/piecework/piecework/infra/program"
)

func main() { program.Main(jobs.New(), azure.Register, mongo.Register) }
