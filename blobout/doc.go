// Package blobout keeps the large things of records in a blob store: outputs, payloads, parked bodies.
//
// An output is a named file that an attempt of a job writes. It is visible once its attempt has won, that is when the
// job's record lists it; blobout knows no records and only keeps attempts apart, each below its own prefix:
//
//	jobs/<id>/                              everything of a record: Prefix
//	jobs/<id>/a-<token>/                    the files of one attempt: AttemptPrefix
//	jobs/<id>/a-<token>/report/march.csv    an output in one piece
//	jobs/<id>/a-<token>/march.csv.part-0001 a piece of an output; a continuation adds the next
//	jobs/<id>/p-<name>-<checksum>           a payload too large for the record, by its content
//	jobs/<id>/raw-<checksum>                the body of a parked message
//
// # Writing
//
//	w, err := s.Create(ctx, id, token, "march.csv", 0, "text/csv")
//	...
//	defer w.Abort() // does nothing after Close
//	... w.Write ...
//	part, err := w.Close() // now the blob exists; part goes into the record
//
// A blob appears whole at Close, or not at all: a failed write, a cancelled context, Abort, and the death of the process
// leave nothing to be seen. What attempts leave behind that did not win, RemoveAttempts deletes.
//
// # Reading
//
// A [Part] names a blob with its size and checksum. Open reads a list of parts as one stream, or a range of it. What is
// read in full is verified, and ends with [ErrCorrupt] instead of io.EOF if it is not what was written.
//
// # Buckets
//
// Any gocloud bucket will do; nothing here needs conditional writes. A directory should be opened with
//
//	file:///var/lib/piecework/blobs?create_dir=true&no_tmp_dir=true&metadata=skip
//
// no_tmp_dir writes the unfinished file beside the final one, since it cannot be moved from another file system;
// metadata=skip leaves out the .attrs files, so that people find jobs/<id>/a-<token>/march.csv and nothing else. Set
// Options.Dir as well. gocloud does not sync files; blobout does.
package blobout
