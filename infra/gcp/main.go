// Command gcp runs jobs on Google Cloud: Firestore, Pub/Sub and Cloud Storage, on Cloud Run or as a worker that pulls.
package main

import (
	"github.com/piecework/piecework/infra/command/cloudrun"
	"github.com/piecework/piecework/infra/drivers/gcp"
	"github.com/piecework/piecework/infra/jobs"
)

func main() { cloudrun.Main(jobs.New(), gcp.Register) }
