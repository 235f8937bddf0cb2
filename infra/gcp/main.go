// Command gcp runs jobs on Google Cloud: Firestore, Pub/Sub and Cloud Storage.
package main

import (
	"github.com/piecework/piecework/infra/command"
	"github.com/piecework/piecework/infra/drivers/gcp"
	"github.com/piecework/piecework/infra/jobs"
)

func main() { command.Main(jobs.New(), gcp.Register) }
