// Package servers starts real servers and emulators for tests, and runs the suites of package conformance against them.
//
// Each starter listens on the loopback interface only, on a free port, keeps its files in a directory of the test, and
// ends with the test, or with the process if that is killed. What is not there is installed into the user's cache
// directory, at the versions that package.json and the modules below tools pin; what cannot be had skips the test
// with one line, or fails it if PIECEWORK_REQUIRE_SERVERS is set.
//
//	dynamodb.go    DynamoDB's API         dynoxide, a static binary in an npm package
//	fauxqs.go      SQS and SNS            fauxqs, npm
//	s3.go          S3                     versitygw, built from its module
//	firestore.go   Firestore              Google's emulator, a jar of its SDK
//	pubsub.go      Pub/Sub                pstest, in process
//	mongo.go       MongoDB's protocol     FerretDB, built from its module
//	rabbit.go      RabbitMQ               Debian's package
//	nats.go        NATS and JetStream     nats-server, in process
//	kafka.go       Kafka                  kfake, in process
//	azurite.go     Azure Blob             Azurite, npm
//	gcs.go         Google Cloud Storage   fake-gcs-server, built from its module
//
// PostgreSQL and PgBouncer are started by package tests/postgres. Where an emulator is not what the real service is, the file that
// starts it says so, and so does the harness that works around it. With a Docker engine, the module in containers runs the
// same suites against the vendors' own images.
//
// This is a module of its own, so that what servers depend on does not move the versions of the product.
package servers
