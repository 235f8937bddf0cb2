// Package drivers opens stores, queues and buckets by URL, each with the settings that a job system
// needs.
//
//	set := drivers.New(aws.Register, files.Register)
//	backends, closeAll, err := set.Backends(ctx, drivers.Config{Store: "dynamodb://jobs", ...})
//
// A [Set] knows what is registered with it and nothing else: there is no global registry, so a
// binary links the drivers that its main names. Each target family has a package below this one,
// with one function Register:
//
//	sql     stores and queues: sqlite, postgres
//	sqlite  stores and queues: sqlite, without the client of PostgreSQL
//	mem     the scheme mem for all three
//	files   blobs: file
//	aws     stores: dynamodb; queues: awssqs, awssns; blobs: s3
//	gcp     stores: firestore; queues: gcppubsub; blobs: gs
//	azure   queues: azuresb; blobs: azblob
//	mongo   stores: mongodb, mongodb+srv
//	nats    queues: jetstream, tls+jetstream
//	rabbit  queues: amqp, amqps
//	kafka   queues: kafka, kafka+tls
//
// Azure Cosmos DB is a store through its API for MongoDB. The comment of each package tells, in the
// same order: the form of its URLs, parameters, environment and credentials, limits, delivery,
// delay.
//
// # URLs
//
// A URL says everything but the credentials: the service, the place in it, and parameters. An
// unknown parameter is an error that names the nearest known one. A scheme that is not registered
// is an error that names the registered schemes, and the package that has the scheme.
//
// The URL of the queues is a template, so that one setting serves all queues: "{queue}" stands for
// the name of a queue.
//
//	PIECEWORK_QUEUES='awssqs://sqs.eu-central-1.amazonaws.com/123456789012/piecework-{queue}?region=eu-central-1'
//
// # Defaults
//
// Receivers fetch one message at a time and hold two at the most, because no other instance can run
// a message that was fetched ahead. The parameter prefetch raises that. When a connection, a
// channel or a session is lost, the [pubsubq.Receiver] or [pubsubq.Sender] opens the queue again,
// and its open function dials again if necessary.
//
// # Where things are
//
// set.go has the registry, address.go and params.go the reading of URLs, queue.go what all queues
// share and what the doctor reads of them, backends.go the configuration and the opening of
// everything, provision.go the creation of what a store needs. Package infra/program reads the
// configuration from the environment.
package drivers
