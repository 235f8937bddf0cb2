// Package fault has a document store and a blob store, in memory, that fail as real ones do, when they are told to.
//
// Every effect, that is every call that would cross a network, asks a [Hook] first: it may let time pass, let others
// go first, and decides the effect's [Fate]: applied or not, answered or not, or [Late]: applied when a [Waiter] says,
// also after its caller has given up. So a test can stop a process between any
// two effects, lose the answer to a write that was applied, and refuse one that was not.
//
//	docs := &fault.Docs{Hook: hook, Flavour: fault.Mongo}
//	coll := docstore.NewCollection(docs)
//	bucket := blob.NewBucket(&fault.Blobs{Hook: hook})
//
// [Docs] speaks in the error codes of the store whose [Flavour] it has, down to a revision that a failed write spoils
// and errors of a list that name no item. Its queries can lag behind, as those on the indexes of some stores do; reads
// by id do not. It keeps what was written with the moment of the write, in order, so that a run can be repeated.
//
// [Throttle] stands in front of any collection and refuses as stores do that are asked for too much; with a [Bucket], what
// is beyond a rate.
//
// Docs and Blobs are for one goroutine at a time, which is what makes runs repeatable.
package fault
