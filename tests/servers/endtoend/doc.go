// Package endtoend runs jobs on whole deployments: a real store, a real queue and a real bucket each, workers in
// processes of their own, and trouble.
//
//	DynamoDB     SQS                  S3
//	MongoDB      RabbitMQ             files
//	PostgreSQL   JetStream, NATS      S3
//	Firestore    Pub/Sub              GCS
//	Cosmos DB    JetStream            Azure Blob
//
// What stands in for a service that cannot run here, and what it does differently, is told where it is started, in
// package servers; what had to be worked around, in combinations_test.go.
//
// # One run
//
// The program in folder worker is built once. It is the program of a deployment, package infra/program, with the kinds of
// this package and all drivers. Its command init creates the store. Then several workers and a sweeper run, while the
// test submits [Jobs] jobs, kills processes with SIGKILL at random moments and starts them again, freezes one for longer
// than its leases last, drains one with SIGTERM, and stops and starts the server of the queue. The seed of all that is
// printed.
//
// When all jobs have ended, the test looks from outside at each: that it ended as it should, with the result and the files
// that it should have, which one run of its handler alone has brought, of those that the ledger knows. Then it checks the
// stored state as a whole. One line tells what there was.
//
// # Where things are
//
// plan.go says what each job is and how it must end, kinds.go has the handlers, ledger.go what they write down besides.
// Of the tests, combinations_test.go has the combinations, deployment_test.go the run of one, crew_test.go the processes,
// trouble_test.go what is done to them, check_test.go what must be true at the end.
package endtoend
