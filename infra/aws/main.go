// Command aws runs jobs on AWS: on Lambda or as a worker, over DynamoDB, SQS or SNS, and S3.
package main

import (
	"github.com/piecework/piecework/infra/command/lambda"
	"github.com/piecework/piecework/infra/drivers/aws"
	"github.com/piecework/piecework/infra/jobs"
)

func main() { lambda.Main(jobs.New(), aws.Register) }
