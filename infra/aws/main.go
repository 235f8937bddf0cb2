// Command aws runs jobs on AWS: DynamoDB, SQS or SNS, and S3.
package main

import (
	"github.com/piecework/piecework/infra/command"
	"github.com/piecework/piecework/infra/drivers/aws"
	"github.com/piecework/piecework/infra/jobs"
)

func main() { command.Main(jobs.New(), aws.Register) }
