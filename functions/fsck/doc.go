// Package fsck reads the stored state of a deployment from outside and says what is wrong with it.
//
//	report, err := fsck.Check(ctx, coll, bucket, fsck.Options{Now: time.Now(), Late: time.Hour})
//	for _, p := range report.Problems { fmt.Println(p.ID, p.Rule, p.Text) }
//
// It reads the documents and the list of blobs itself, and works out again what the index fields, ids and checksums
// must be; so a mistake in package store is found, not repeated. It changes nothing, unless Options.Repair asks it to remove
// blobs that nothing refers to.
//
// # What it finds
//
// A [Problem] names a record, the rule that it breaks, and how. [Rules] lists the rules. What is unusual but does no
// harm is among the notes: records of a newer version or of a noun that this version does not know, and files that
// nothing refers to: they go when their job is removed.
//
// Two kinds of blobs are not removed by any sweep: arguments over 32 KiB of a keyed submission whose process died before
// it had created the job, and files that an attempt wrote after its job had ended, if its process died before it removed
// them and the job is kept without end or is gone. Check with Options.Repair removes both when they are a day old. Run it
// now and then (piecework fsck --repair); it is safe beside a running system.
//
// # Beside a running system
//
// Records change while they are read. So what looks broken is read once more, by its id, and reported only if it is
// broken then too.
//
// # What it costs
//
// A scan of the collection and a list of the whole bucket; with Options.Deep, a read of every blob that a record lists.
// On DynamoDB the collection must be opened with allow_scans=true.
//
// # Where to read
//
// check.go has Check, read.go what it reads, job.go, expires.go, counts.go, index.go, blobs.go and others.go the
// rules, repair.go what is removed.
package fsck
