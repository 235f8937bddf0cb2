package main

import (
	"bytes"
	"regexp"
	"slices"
	"strings"

	"github.com/piecework/piecework/tests/fault"
)

// mutant breaks one rule. All of them work between the code under test and the fakes, so that production code has no
// switch for them.
type mutant struct{ name, rule string }

var mutants = slices.Concat([]mutant{
	{"no-revision-check", "a write happens only if nobody else wrote meanwhile"},
	{"create-overwrites", "a record is created once"},
	{"conflict-is-fine", "a write that lost a race is not taken for one that won"},
	{"lost-is-final", "an unknown outcome is not taken for a failure"},
	{"stale-reads", "reads by id are strong"},
	{"no-nonce", "a creation recognises itself after a lost answer"},
	{"same-token", "leases are fenced by tokens of their own"},
	{"lease-ignored", "a leased job is not claimed"},
	{"lease-for-ever", "a lease runs out"},
	{"lease-too-short", "a lease is not ended before it ran out"},
	{"no-sweep", "sweep ends what others left"},
	{"no-resend", "sweep sends lost messages again"},
	{"no-due", "every live record has a due time"},
	{"count-forgotten", "attempts are counted"},
	{"early-clock", "no job starts before its time"},
	{"checkpoint-dropped", "a checkpoint that was saved is there"},
	{"loser-published", "outputs are visible of winners only"},
	{"wrong-list", "the list index has every job"},
	{"held-unlisted", "the due index has every live job"},
	{"wrong-fail-list", "the list of failed jobs has those and no others"},
	{"torn-blob", "a blob appears whole or not at all"},
	{"nothing-purged", "files of losers are removed"},
	{"winner-purged", "files of the winner stay"},
	{"field-dropped", "unknown members survive"},
	{"newer-is-older", "a record of a newer format is left alone"},
	{"outbox-dropped", "what must follow an end is written down"},
	{"cancel-ignored", "a job that was cancelled does not run"},
	{"expires-with-files", "what expires by itself leaves no files"},
	{"expires-too-early", "nothing expires before its retention ends"},
	{"expires-for-ever", "a job that is retried does not expire any more"},
	{"expired-is-there", "what has expired counts as deleted"},
}, lateMutants, wasteMutants)

// mutate breaks what can be broken in the fakes.
func (w *world) mutate() {
	b := &w.docs.Broken
	switch w.mutant {
	case "no-revision-check":
		b.NoRevisionCheck = true
	case "create-overwrites":
		b.CreateOverwrites = true
	case "conflict-is-fine":
		b.ConflictIsFine = true
	case "lost-is-final":
		b.LostIsFinal = true
	case "stale-reads":
		b.StaleReads = true
	case "torn-blob":
		w.blobs.Broken.TornWrites = true
	case "winner-purged":
		w.blobs.Broken.TooMuchGoes = true
	}
}

// mutantSkew is how far a mutant's clocks are off.
func (w *world) mutantSkew() int64 {
	if w.mutant == "early-clock" {
		return 30_000
	}
	return 0
}

// mutantRandom gives all attempts one token.
func (w *world) mutantRandom(r uint64) uint64 {
	if w.mutant == "same-token" && w.running.name == "claim" {
		return 4711
	}
	return r
}

// mutantDropsSend loses what sweep sends.
func (w *world) mutantDropsSend(c *co) bool {
	return w.mutant == "no-resend" && (c.name == "sweep" || c.name == "recover")
}

var (
	leaseEnd   = regexp.MustCompile(`"until":\d+`)
	attempts   = regexp.MustCompile(`"(attempt|n_errors|n_lost)":\d+,`)
	checkpoint = regexp.MustCompile(`"checkpoint":\{"inline":\{[^}]*\}\},`)
	nonce      = regexp.MustCompile(`,"nonce":"[^"]*"`)
	outbox     = regexp.MustCompile(`"outbox":\[[^\]]*\],`)
	leased     = regexp.MustCompile(`"lease":\{[^}]*\},`)
	unknownOne = regexp.MustCompile(`"x_future":"[^"]*",?`)
	expires    = regexp.MustCompile(`"expires":\d+,?`)
	openFiles  = regexp.MustCompile(`"open":(\[.*?\]\}\])`)
)

// mutantWrites changes what a process writes.
func (w *world) mutantWrites(c *co, before fault.Doc, data []byte, doc fault.Doc) []byte {
	has := func(s string) bool { return bytes.Contains(data, []byte(s)) }
	switch w.mutant {
	case "no-nonce":
		return nonce.ReplaceAll(data, []byte(`,"nonce":"x"`))
	case "lease-for-ever":
		return leaseEnd.ReplaceAll(data, []byte(`"until":9000000000000`))
	case "no-due":
		if has(`"state":"running"`) {
			delete(doc, "due_pk")
			delete(doc, "due_sk")
		}
	case "count-forgotten":
		return attempts.ReplaceAll(data, nil)
	case "checkpoint-dropped":
		if before != nil && !has(`"state":"running"`) {
			return checkpoint.ReplaceAll(data, nil)
		}
	case "loser-published":
		if has(`"state":"retrying"`) || has(`"state":"failed"`) {
			return openFiles.ReplaceAll(data, []byte(`"open":$1,"outputs":$1`))
		}
	case "wrong-list":
		doc["list_sk"] = "0" + doc["list_sk"].(string)
	case "held-unlisted":
		if has(`"state":"held"`) && !has(`"due":`) {
			delete(doc, "due_pk")
			delete(doc, "due_sk")
		}
	case "wrong-fail-list":
		if has(`"state":"cancelled"`) {
			doc["fail_pk"], doc["fail_sk"] = "failed#0", doc["list_sk"]
		}
	case "field-dropped":
		if before != nil && !c.p.newer {
			return unknownOne.ReplaceAll(data, nil)
		}
	case "outbox-dropped":
		return outbox.ReplaceAll(data, nil)
	case "expires-with-files", "expires-too-early", "expires-for-ever":
		w.mutantExpires(before, data, doc)
	}
	return w.mutantWritesMore(c, before, data, doc)
}

// mutantReads changes what a process reads.
func (w *world) mutantReads(c *co, id string, data []byte) []byte {
	switch {
	case w.mutant == "lease-ignored" && c.name == "claim":
		return bytes.Replace(leased.ReplaceAll(data, nil), []byte(`"state":"running"`), []byte(`"state":"queued"`), 1)
	case w.mutant == "lease-too-short" && c.name == "sweep":
		return leaseEnd.ReplaceAll(data, []byte(`"until":1`))
	case w.mutant == "expired-is-there":
		return expires.ReplaceAll(data, nil)
	case w.mutant == "cancel-ignored" && c.name == "claim":
		return bytes.Replace(data, []byte(`"state":"cancelled"`), []byte(`"state":"queued"`), 1)
	}
	return w.mutantReadsMore(c, id, data)
}

// nameOf finds a mutant, or says which there are.
func nameOf(name string) (string, bool) {
	var names []string
	for _, m := range mutants {
		if m.name == name {
			return name, true
		}
		names = append(names, m.name)
	}
	return strings.Join(names, ", "), false
}
