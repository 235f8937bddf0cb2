package fsck

import (
	"maps"
	"slices"
)

// The rules.
const (
	RuleDecode   = "decode"    // the data are a record
	RuleID       = "id"        // the id in the data is the document's key, which occurs once
	RuleState    = "state"     // the state is one of the ten
	RuleDueIndex = "due-index" // the due index has the record where its due time says; without one, only live jobs, behind all others
	RuleList     = "list-index"
	RuleFail     = "fail-index"
	RuleDue      = "due"      // what is to happen to a record some day has a due time, early enough
	RuleOverdue  = "overdue"  // sweep did what was due
	RuleSize     = "size"     // a record has room for its end, and for checkpoints before it
	RuleExpires  = "expires"  // the store deletes by itself what is to go then, and only that
	RuleLease    = "lease"    // a job has a lease if and only if it is running
	RuleFinal    = "final"    // only a job that has ended has an end, a result, and things to follow up
	RuleAttempts = "attempts" // at most ten are kept, in order; one success at most, and nothing after it
	RuleLimits   = "limits"   // no job was tried more often than it may be
	RuleCounts   = "counts"   // the counters agree with one another
	RuleOutputs  = "outputs"  // outputs are visible of succeeded jobs only, and are there, whole
	RulePayload  = "payload"  // arguments, results and checkpoints that lie in blobs are there, whole
	RuleOwner    = "owner"    // a record refers to blobs of its own only, and every blob has a record
	RuleKey      = "key"      // the id of a keyed job follows from its kind and key
	RuleArgsHash = "args-hash"
	RuleKind     = "kind"   // the directory has the kind of every job
	RuleParked   = "parked" // a parked message is complete, and listed
)

// What is noted though it is no problem.
const (
	NoteVersion  = "version"  // written by a newer version, so not checked
	NoteNoun     = "noun"     // a record that this version does not know
	NoteForeign  = "foreign"  // a blob that is not of Piecework's
	NoteLeftover = "leftover" // a file of an ended job that it does not list; it goes with the job, or with Options.Repair
	NoteClock    = "clock"    // clocks differ: an attempt ended before it started
	NoteExpired  = "expired"  // past its expiry; the store deletes it in its own time
	NoteUnborn   = "unborn"   // arguments or a body of a record that was never created; it goes with Options.Repair
)

// ruleTexts says what must hold.
var ruleTexts = map[string]string{
	RuleDecode:   "the data of every document are a record",
	RuleID:       "the id in the data is the document's key, which occurs once",
	RuleState:    "the state is one of the ten that there are",
	RuleDueIndex: "the due index has a record where its due time says; without one, only live jobs, behind all others",
	RuleList:     "the list index has a job under its kind and the time of its creation",
	RuleFail:     "the list of failed jobs has those that failed, at the time they did, and no others",
	RuleDue:      "a record to which something is to happen has a due time that is early enough for it",
	RuleOverdue:  "nothing has been due for longer than Options.Late",
	RuleSize:     "no record is longer than store.MaxRecord, and no live job's record is longer than store.MaxGrown",
	RuleExpires:  "only jobs that have ended and have no files expire by themselves, when their retention ends",
	RuleLease:    "a job has a lease if and only if it is running",
	RuleFinal:    "a job that has ended, and no other, has a time of its end, and perhaps a result and an outbox",
	RuleAttempts: "at most ten attempts are kept, in order; at most one is a success, and then it is the last",
	RuleLimits:   "no job is tried more often than its limits allow",
	RuleCounts:   "a job's counters agree with each other and with its state",
	RuleOutputs:  "only jobs that succeeded have outputs; all of their blobs exist and have their size and checksum",
	RulePayload:  "arguments, results and checkpoints that lie in blobs exist and have their size and checksum",
	RuleOwner:    "a record refers only to blobs below its own prefix, and every blob belongs to a record",
	RuleKey:      "the id of a job with a key follows from its kind and key",
	RuleArgsHash: "the stored checksum of a keyed job's arguments matches the arguments",
	RuleKind:     "the directory of kinds has the kind of every job",
	RuleParked:   "a parked message has its body, the reason and its place in the list",
}

// Rules lists the names of the rules, sorted.
func Rules() []string { return slices.Sorted(maps.Keys(ruleTexts)) }

// Explain says what must hold by a rule; "" if there is none of that name.
func Explain(rule string) string { return ruleTexts[rule] }
