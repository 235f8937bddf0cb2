// Package store keeps the records of Piecework in a docstore collection: what a job is, in which
// states it may be, which moves there are between the states, and the verbs that make them.
//
// # One conditional write decides
//
// Every change of a record is one verb: read, pure transition, compare-and-set on the revision.
// There is no blind put and no transaction over two records. A verb that loses a race reads again
// and applies its transition to what it finds. A verb whose answer was lost reads again and
// recognises its own write by a token that every write carries. So a verb may be repeated, and the
// process may die inside it: either the write happened or it did not, and the record is valid in
// both cases.
//
// # One collection
//
// The records of all nouns are in one collection. Its fields have the same meaning on every store:
//
//	id       string  the record's id; the key
//	rev      any     docstore's revision
//	data     []byte  the record as JSON; members that this version does not know survive a rewrite
//	due_pk   string  "due#<shard>"; absent from an ended record that is never due;
//	                 "gone#<shard>" for an ended job that waits only for its removal
//	due_sk   string  "<16-digit unix ms>#<id>"; "9<15-digit unix ms of creation>#<id>" for a live
//	                 job that is never due because it waits for others without a deadline
//	list_pk  string  "job#<kind>#<shard>"
//	list_sk  string  "<16-digit unix ms of creation>#<id>"
//	fail_pk  string  "failed#<shard>", on failed jobs only: the happy path pays nothing
//	fail_sk  string  "<16-digit unix ms of the end>#<id>"
//	expires  number or date, on ended jobs that the store deletes by itself; see Options.TTL
//
// Three indexes, (due_pk, due_sk), (list_pk, list_sk) and (fail_pk, fail_sk), serve every query:
// equality on the first field, one bound and the order on the second. [Indexes] and [Columns] name
// them for those who provision a store.
//
// An index only says where to look. The read by id and the conditional write decide, so eventually
// consistent indexes are safe.
//
// # Stores that are slow or away
//
// A verb that gets no answer, or is throttled, pauses and tries again: with jitter, longer each
// time, until Options.Patience is used up. Then it returns ErrUnavailable. A collection whose
// service says how long to wait returns errors that are a [Hint], and is not asked before.
//
// # Retention
//
// A job that has ended is kept for its retention. Where the store deletes by itself (Options.TTL),
// the write that ends a job without files sets the time in "expires" and takes the job off the due
// index. Its removal costs nothing more. All other jobs stay in the due index, in partitions of
// their own, and sweep removes them with their files after everything else that is due. Sweeps of
// versions that do not know these partitions remove nothing from them. A record past its expiry
// that the store has not deleted yet counts as deleted: reads do not find it, lists omit it, and a
// new job may take its place. Retrying a job removes "expires".
//
// Each record says by itself who removes it, so processes with the option and without may share a
// collection. But the store must go on deleting as long as there are records with "expires": sweep
// does not remove them.
//
// # Nouns
//
// A noun is its record, its pure moves and its verbs. The machinery is package engine, below
// internal, which is told by a noun's table of functions where the record keeps its id, revision
// and tokens, and which keys it has in the indexes (see jobNoun, kindsNoun and parkedNoun).
//
//	store.go       options, and the store with its nouns
//	index.go       fields, indexes, keys and ids; the due index
//	time.go        moments in milliseconds, and the durations that decide when sweep acts
//	expiry.go      who removes an ended record, and when
//	errors.go      the errors, and hints of a store that throttles
//	job.go         the record of a job
//	payload.go     blobs, payloads, outputs and manifests in that record
//	job_state.go   states, events, the table of moves, and its diagram
//	job_moves.go   the pure moves: enter, release, claim, heartbeat, cancel, requeue
//	job_finish.go  the pure moves that end an attempt
//	job_end.go     what a job becomes when it ends: its outbox, its removal
//	job_due.go     the pure moves of a job that is due
//	job_encode.go  how jobs are stored, and what a record that is too large sheds
//	job_verbs.go   the verbs that read and change one job
//	job_many.go    the verbs over many jobs
//	job_list.go    lists of jobs
//	kinds.go       the directory of kinds
//	parked.go      parked messages
package store
