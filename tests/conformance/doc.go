// Package conformance says what Piecework wants of a document store, a message queue and a blob store, as tests.
//
// A driver is tested by a harness: how to open it, and what it promises. Each promise that a harness declares is
// tested, and so is the behaviour that takes its place where there is none.
//
//	func TestStore(t *testing.T) {
//		conformance.Store(t, conformance.StoreHarness{New: func(t *testing.T) conformance.OpenStore {
//			table := createTable(t) // a new one for each test
//			return func(t *testing.T) *docstore.Collection { return open(t, table) }
//		}})
//	}
//
// [Store] runs the verbs of package store: conflicts, answers that were lost, stale reads, limits, records of other
// versions, both indexes over many records, and many who claim at once. [Queue] runs package pubsubq: delivery as
// declared, delays, sizes, unreadable messages, a broker that restarts, an orderly end. [Blob] runs package
// blobout: streams, aborted writes, ranges, conditional creation, signed URLs, listings, removal. [Driver] runs go-cloud's
// own tests over a pubsub driver of ours.
//
// With -short, the indexes are tested over fewer records. The tests of this package run the suites over all drivers
// that need no server of another kind; those in the module tests/servers run them over the others.
package conformance
