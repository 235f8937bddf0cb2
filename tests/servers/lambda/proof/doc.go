// Package proof runs a deployment on Lambda from end to end, with no part of it imitated that is ours: the compiled
// program of package infra/program/onlambda is started, frozen and killed by package runtimeapi, fed from SQS by package
// eventsource, and called over HTTP through function URLs; it keeps its state in DynamoDB and S3. Those three are servers
// that speak these services' protocols, see package servers.
//
// 2,000 jobs are submitted, half by the HTTP API and half by messages to the submit queue, while environments are killed
// at random, by their own jobs and by the function's timeout. None may be lost, each has one result, the stored state is
// clean, and the dead-letter queues hold what belongs there and nothing else. With -short, the jobs are 300.
//
// The jobs are package endtoend's, and a few of kinds.go, which are longer than the function's timeout, do not
// listen, stop or end their process, or write a file larger than a buffered answer.
//
// # Where things are
//
// kinds.go has the kinds, program the main; cloud_test.go the servers and functions, submit_test.go the ways to submit,
// check_test.go what must be true at the end; lambda_test.go, drain_test.go and answers_test.go have the tests.
package proof
