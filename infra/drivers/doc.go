// Package drivers opens stores, queues and buckets by URL, each with the settings that a job system needs.
//
//	set := drivers.New(aws.Register, files.Register)
//	backends, closeAll, err := set.Backends(ctx, drivers.Config{Store: "dynamodb://jobs", ...})
//
// A [Set] knows what is registered with it and nothing else: there is no global registry, so a binary links the
// drivers that its main names. Each target family has a package below this one, with one function Register:
//
//	sql     stores: sqlite, postgres
//	mem     the scheme mem for all three
//	files   blobs: file
//	aws     stores: dynamodb; queues: awssqs, awssns; blobs: s3
//	gcp     stores: firestore; queues: gcppubsub; blobs: gs
//	azure   queues: azuresb; blobs: azblob
//	mongo   stores: mongodb, mongodb+srv
//	nats    queues: nats, jetstream, tls+nats, tls+jetstream
//	rabbit  queues: amqp, amqps
//	kafka   queues: kafka, kafka+tls
//
// Azure Cosmos DB is a store through its API for MongoDB. The comment of each package tells, in the same order: the
// form of its URLs, parameters, environment and credentials, limits, delivery, delay.
//
// # URLs
//
// One URL says all but the credentials: the service, the place in it, and parameters. A parameter that the driver does
// not know is refused, with the nearest that it does know. A scheme that is not registered is refused with those that
// are, and with the package that has it, if one has.
//
// The URL of the queues is a template: "{queue}" in it stands for the name of the lane, so that one setting serves all
// lanes.
//
//	PIECEWORK_QUEUES='awssqs://sqs.eu-central-1.amazonaws.com/123456789012/piecework-{queue}?region=eu-central-1'
//
// # Defaults
//
// Receivers fetch one message at a time and hold two at the most, because what an instance has fetched ahead no other
// can run; the parameter prefetch raises it. What a broker's subscription loses, the connection, a channel, a session,
// is made anew by the [pubsubq.Receiver] or [pubsubq.Sender], whose open functions dial again if need be.
//
// # Where things are
//
// set.go has the registry, address.go and params.go the reading of URLs, queue.go what all queues share, backends.go
// the configuration and the opening of everything, provision.go the creation of what a store needs, facts.go the settings
// that the doctor reads, hide.go what a queue is told about messages that the platform received. Package infra/program
// reads the configuration from the environment.
package drivers
