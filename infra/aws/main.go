// Command aws runs jobs on AWS: on Lambda or as a worker, over DynamoDB, SQS or SNS, and S3.
package main

import (
	"github.com/piecework/piecework/infra/drivers/aws"
	"github.com/piecework/piecework/infra/jobs"
	"github.com/piecework/piecework/infra/program/onlambda"
)

func main() { onlambda.Main(jobs.New(), aws.Register) }
