// Command selfhost runs jobs on servers of your own, and serves the HTTP API: PostgreSQL, SQLite or
// MongoDB, NATS or RabbitMQ, and files.
package main

import (
	"github.com/piecework/piecework/infra/drivers/files"
	"github.com/piecework/piecework/infra/drivers/mongo"
	"github.com/piecework/piecework/infra/drivers/nats"
	"github.com/piecework/piecework/infra/drivers/rabbit"
	"github.com/piecework/piecework/infra/drivers/sql"
	"github.com/piecework/piecework/infra/jobs"
	"github.com/piecework/piecework/infra/program"
)

func main() {
	program.Main(jobs.New(), sql.Register, mongo.Register, nats.Register, rabbit.Register, files.Register)
}
