// Package store keeps the records of Piecework in a docstore collection: what a job is, in which state it may be,
// which moves there are between the states, and the verbs that make them.
//
// # One conditional write decides
//
// Every change of a record is one verb: read, pure transition, compare-and-set on the revision. There is no blind
// put and no transaction over two records. A verb that loses a race reads again and applies its transition to what
// it finds; a verb whose answer was lost reads again and recognises its own write by a token that every write
// carries. So a verb may be repeated at will, and the process may die inside it: either the write happened or it
// did not, and the record is valid in both cases.
//
// # One collection
//
// All records live in one collection with these fields, each of which has the same meaning on every store:
//
//	id       string  the record's id; the key
//	rev      any     docstore's revision
//	data     []byte  the record as JSON; members that this version does not know survive a rewrite
//	due_pk   string  "due#<shard>"             absent when nothing is ever due; "gone#<shard>" for an ended job that
//	                                           waits for nothing but its removal
//	due_sk   string  "<16-digit unix ms>#<id>"
//	list_pk  string  "job#<kind>#<shard>"
//	list_sk  string  "<16-digit unix ms of creation>#<id>"
//	fail_pk  string  "failed#<shard>"          present on failed jobs only, so that the happy path pays nothing
//	fail_sk  string  "<16-digit unix ms of the end>#<id>"
//	expires  number or date, on ended jobs that the store deletes by itself; see Options.TTL
//
// Three indexes, (due_pk, due_sk), (list_pk, list_sk) and (fail_pk, fail_sk), serve every query: equality on the
// first field, one bound and the order on the second. [Indexes] and [Columns] name them for those who provision a
// store.
//
// An index only says where to look. The read by id and the conditional write decide, so eventually consistent
// indexes are safe.
//
// # Stores that are slow or away
//
// A verb that gets no answer, or is told that it is one too many, pauses and tries again: with jitter, longer each time,
// until Options.Patience is at its end (then it gives ErrUnavailable). A collection whose service says how long to wait
// gives errors that are a [Hint], and is not asked before that.
//
// # Retention
//
// A job that has ended is kept for its retention. Where the store deletes by itself (Options.TTL), a job without files
// gets its time in "expires" with the write that ends it, leaves the due index, and costs nothing more. All others stay
// in the due index, in partitions of their own, and sweep removes them with their files after all else that is due. Sweeps
// of versions that do not know these partitions remove nothing that stands there. A record past its expiry that is still
// there counts as deleted: reads do not find it, lists leave it out, and a new job takes its place. Retrying a job takes
// "expires" off.
//
// Each record says itself how it goes, so processes with the option and without may share a collection. But the store
// must go on deleting for as long as there are records with "expires": nobody else removes them.
//
// # Where to read
//
// job.go has the record, state.go the table of moves, transition.go the pure transitions, verbs.go the writes that
// make them, due.go and list.go the two ways to find records, expiry.go how they go, corrupt.go what becomes of those that
// nobody can read, hint.go what a store says of when to ask again.
package store
