// Command gcp runs jobs on Google Cloud: Firestore, Pub/Sub and Cloud Storage, on Cloud Run or as a
// worker that pulls.
package main

import (
	"github.com/piecework/piecework/infra/drivers/gcp"
	"github.com/piecework/piecework/infra/jobs"
	"github.com/piecework/piecework/infra/program"
)

func main() { program.Main(jobs.New(), gcp.Register) }
