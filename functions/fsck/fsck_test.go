package fsck

import (
	"bytes"
	stdjson "encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/store"
)

func TestWhatTheVerbsWriteIsClean(t *testing.T) {
	w := newWorld(t)
	r := w.check(t, Options{Deep: true, Late: time.Minute})
	if !r.Clean() || len(r.Notes) > 0 {
		t.Fatalf("problems %v, notes %v", r.Problems, r.Notes)
	}
	if r.Jobs != 11 || r.Records != 14 || r.Parked != 2 || r.ByState[store.Succeeded] != 3 || r.Blobs < 5 {
		t.Errorf("got %+v, want r.Jobs == 11 && r.Records == 14 && r.Parked == 2 && r.ByState[store.Succeeded] == 3 && r.Blobs >= 5", r)
	}
}

// edit changes a record's data, its document, or the blobs that it lists.
type edit struct {
	rule string
	of   string // which record; see world.fill
	job  func(j *store.Job)
	doc  func(d *document)
	blob func(t *testing.T, w *world, j store.Job)
}

var edits = []edit{
	{rule: RuleDecode, of: "queued", doc: func(d *document) { d.Data = []byte(`{"v":1,`) }},
	{rule: RuleDecode, of: "parked", doc: func(d *document) { d.Data = []byte(`[]`) }},
	{rule: RuleDecode, of: "kinds", doc: func(d *document) { d.Data = []byte(`7`) }},
	{rule: RuleID, of: "queued", job: func(j *store.Job) { j.ID = "job-other" }},
	{rule: RuleState, of: "queued", job: func(j *store.Job) { j.State = "asleep" }},
	{rule: RuleDueIndex, of: "queued", doc: func(d *document) { d.DueSK = "0000000000000001#" + d.ID }},
	{rule: RuleDueIndex, of: "queued", doc: func(d *document) { d.DuePK, d.DueSK = "", "" }},
	{rule: RuleDueIndex, of: "held", doc: func(d *document) { d.DuePK, d.DueSK = "due#00", "0000000000000001#"+d.ID }},
	{rule: RuleDueIndex, of: "held", doc: func(d *document) { d.DuePK, d.DueSK = "", "" }},
	{rule: RuleDueIndex, of: "queued", doc: func(d *document) { d.DuePK = "gone#0" }},
	{rule: RuleDueIndex, of: "succeeded", doc: func(d *document) { d.DuePK = "gone#9" }},
	{rule: RuleList, of: "queued", doc: func(d *document) { d.ListPK = "job#other#0" }},
	{rule: RuleFail, of: "failed", doc: func(d *document) { d.FailPK, d.FailSK = "", "" }},
	{rule: RuleFail, of: "queued", doc: func(d *document) { d.FailPK, d.FailSK = "failed#0", "1" }},
	{rule: RuleDue, of: "queued", job: func(j *store.Job) { j.Due = 0 }},
	{rule: RuleDue, of: "held", job: func(j *store.Job) { j.Due = 1 }},
	{rule: RuleDue, of: "scheduled", job: func(j *store.Job) { j.At = 0 }},
	{rule: RuleDue, of: "running", job: func(j *store.Job) { j.Due = j.Due.Add(time.Hour) }},
	{rule: RuleDue, of: "queued", job: func(j *store.Job) { j.Deadline = j.Due - 1 }},
	{rule: RuleDue, of: "succeeded", job: func(j *store.Job) { j.Due++ }},
	{rule: RuleOverdue, of: "queued", job: func(j *store.Job) { j.Due = j.Due.Add(-2 * time.Hour) }},
	{rule: RuleOverdue, of: "running", job: func(j *store.Job) { j.Due = j.Due.Add(-2 * time.Hour) }},
	{rule: RuleSize, of: "running", job: func(j *store.Job) { j.Parent = strings.Repeat("x", store.MaxGrown) }},
	{rule: RuleSize, of: "succeeded", job: func(j *store.Job) { j.Parent = strings.Repeat("x", store.MaxRecord) }},
	{rule: RuleExpires, of: "queued", doc: func(d *document) { d.Expires = int64(1_795_262_400) }},
	{rule: RuleLease, of: "running", job: func(j *store.Job) { j.Lease = nil }},
	{rule: RuleLease, of: "running", job: func(j *store.Job) { j.Lease.Token = "" }},
	{rule: RuleLease, of: "queued", job: func(j *store.Job) { j.Lease = &store.Lease{Token: "t", Start: 1, Until: 2} }},
	{rule: RuleFinal, of: "succeeded", job: func(j *store.Job) { j.Ended = 0 }},
	{rule: RuleFinal, of: "succeeded", job: func(j *store.Job) { j.At = 1 }},
	{rule: RuleFinal, of: "succeeded", job: func(j *store.Job) { j.Outbox = []store.Effect{"sing"} }},
	{rule: RuleFinal, of: "failed", job: func(j *store.Job) { j.Result.Inline = []byte(`1`) }},
	{rule: RuleFinal, of: "queued", job: func(j *store.Job) { j.Ended = 1 }},
	{rule: RuleFinal, of: "cancelled", job: func(j *store.Job) { j.Cancel = 0 }},
	{rule: RuleAttempts, of: "succeeded", job: func(j *store.Job) { j.Attempts = nil }},
	{rule: RuleAttempts, of: "succeeded", job: func(j *store.Job) { j.Attempts[0].Outcome = store.OutcomeError }},
	{rule: RuleAttempts, of: "retrying", job: func(j *store.Job) { j.Attempts[0].Outcome = store.OutcomeSuccess }},
	{rule: RuleAttempts, of: "retrying", job: func(j *store.Job) { j.Attempts = append(j.Attempts, j.Attempts[0]) }},
	{rule: RuleAttempts, of: "retrying", job: numberAgain},
	{rule: RuleAttempts, of: "retrying", job: func(j *store.Job) {
		for range 10 {
			j.Attempts = append(j.Attempts, j.Attempts[0])
		}
	}},
	{rule: RuleLimits, of: "failed", job: func(j *store.Job) { j.Attempt = 2 }},
	{rule: RuleLimits, of: "retrying", job: func(j *store.Job) { j.Policy.MaxAttempts = 1 }},
	{rule: RuleCounts, of: "succeeded", job: func(j *store.Job) { j.Attempt = 2 }},
	{rule: RuleCounts, of: "retrying", job: func(j *store.Job) { j.Run = 0 }},
	{rule: RuleOutputs, of: "failed", job: func(j *store.Job) { j.Outputs = []store.Output{{Name: "a"}} }},
	{rule: RuleOutputs, of: "succeeded", job: func(j *store.Job) { j.Outputs[0].Parts[0].Size++ }},
	{rule: RuleOutputs, of: "succeeded", job: func(j *store.Job) { j.Outputs = append(j.Outputs, j.Outputs[0]) }},
	{rule: RuleOutputs, of: "succeeded", job: func(j *store.Job) { j.Outputs[0].Name = "../x" }},
	{rule: RuleOutputs, of: "succeeded", blob: func(t *testing.T, w *world, j store.Job) {
		w.drop(t, j.Outputs[0].Parts[0].Key)
	}},
	{rule: RuleOutputs, of: "succeeded", blob: func(t *testing.T, w *world, j store.Job) {
		w.write(t, j.Outputs[0].Parts[0].Key, "jello")
	}},
	{rule: RulePayload, of: "large", blob: func(t *testing.T, w *world, j store.Job) { w.drop(t, j.Args.Blob.Key) }},
	{rule: RulePayload, of: "large", blob: func(t *testing.T, w *world, j store.Job) { w.write(t, j.Result.Blob.Key, "?") }},
	{rule: RuleOutputs, of: "filed", blob: func(t *testing.T, w *world, j store.Job) { w.drop(t, j.OutputsIn.Blob.Key) }},
	{rule: RuleOutputs, of: "filed", blob: func(t *testing.T, w *world, j store.Job) { w.write(t, j.OutputsIn.Blob.Key, "[]") }},
	{rule: RuleOutputs, of: "filed", job: func(j *store.Job) { j.OutputsIn.Blob.SHA256, j.OutputsIn.Outputs = "", 7 }},
	{rule: RuleOutputs, of: "filed", job: func(j *store.Job) { j.State = store.Failed }},
	{rule: RuleOutputs, of: "filed", blob: func(t *testing.T, w *world, j store.Job) {
		w.drop(t, w.listed(t, *j.OutputsIn)[7].Parts[0].Key)
	}},
	{rule: RulePayload, of: "parts", blob: func(t *testing.T, w *world, j store.Job) { w.drop(t, j.OpenIn[0].Blob.Key) }},
	{rule: RulePayload, of: "parts", blob: func(t *testing.T, w *world, j store.Job) {
		w.write(t, w.listed(t, j.OpenIn[0])[7].Parts[0].Key, "something else")
	}},
	{rule: RuleOwner, of: "parts", job: func(j *store.Job) { j.OpenIn[0].Blob.Key = "jobs/job-other/p-parts-1" }},
	{rule: RuleOwner, of: "large", job: func(j *store.Job) { j.Args.Blob.Key = "jobs/job-other/p-args-1" }},
	{rule: RuleOwner, of: "", blob: func(t *testing.T, w *world, _ store.Job) { w.write(t, "jobs/job-gone/a-1/x", "?") }},
	{rule: RuleKey, of: "succeeded", job: func(j *store.Job) { j.Key = "other" }},
	{rule: RuleArgsHash, of: "succeeded", job: func(j *store.Job) { j.ArgsHash = "0" }},
	{rule: RuleKind, of: "kinds", doc: func(d *document) { d.Data = []byte(`{"v":1,"kinds":{}}`) }},
	{rule: RuleParked, of: "parked", doc: func(d *document) { d.ListPK = "elsewhere" }},
	{rule: RuleDueIndex, of: "parked", doc: func(d *document) { d.DuePK, d.DueSK = "", "" }},
	{rule: RuleDueIndex, of: "parked", doc: func(d *document) { d.DueSK = "0" + d.DueSK[1:] + "x" }},
	{rule: RuleFail, of: "parked", doc: func(d *document) { d.FailPK, d.FailSK = "failed#0", d.ListSK }},
	{rule: RuleParked, of: "parked", doc: func(d *document) { d.Data = bytes.Replace(d.Data, []byte("raw-"), []byte("row-"), 1) }},
}

// Every rule is broken by hand, and seen to be.
func TestEachBrokenRuleIsReported(t *testing.T) {
	done := map[string]bool{}
	for _, e := range edits {
		done[e.rule] = true
		t.Run(e.rule+"/"+e.of, func(t *testing.T) {
			w := newWorld(t)
			w.apply(t, e)
			for _, p := range w.check(t, Options{Deep: true, Late: time.Hour}).Problems {
				if p.Rule == e.rule {
					return
				}
			}
			t.Errorf("not reported; what was: %v", w.check(t, Options{Deep: true}).Problems)
		})
	}
	for _, rule := range Rules() {
		if !done[rule] {
			t.Errorf("no case breaks rule %s: %s", rule, Explain(rule))
		}
	}
}

// numberAgain gives a job an earlier attempt of the same number.
func numberAgain(j *store.Job) {
	before := j.Attempts[0]
	before.Token = "before"
	j.Attempts = append([]store.Attempt{before}, j.Attempts...)
}

// Older versions numbered the attempts after a retry from 1, and may run beside this one.
func TestAttemptsAfterARetryMayBeNumberedAgain(t *testing.T) {
	w := newWorld(t)
	w.apply(t, edit{of: "retrying", job: func(j *store.Job) {
		numberAgain(j)
		j.Requeued = "token"
	}})
	for _, p := range w.check(t, Options{}).Problems {
		if p.Rule == RuleAttempts {
			t.Errorf("problem %v, want none of the numbers", p)
		}
	}
}

func (w *world) apply(t *testing.T, e edit) {
	t.Helper()
	d := document{ID: w.ids[e.of]}
	var j store.Job
	if e.of != "" {
		if err := w.coll.Get(t.Context(), &d); err != nil {
			t.Fatal(err)
		}
	}
	if e.job != nil || e.blob != nil && e.of != "" {
		if err := json.Unmarshal(d.Data, &j); err != nil {
			t.Fatal(err)
		}
	}
	switch {
	case e.blob != nil:
		e.blob(t, w, j)
		return
	case e.job != nil:
		e.job(&j)
		var err error
		if d.Data, err = json.Marshal(&j); err != nil {
			t.Fatal(err)
		}
	default:
		e.doc(&d)
	}
	if err := w.coll.Replace(t.Context(), &d); err != nil {
		t.Fatal(err)
	}
}

func (w *world) drop(t *testing.T, key string) {
	t.Helper()
	if err := w.bucket.Delete(t.Context(), key); err != nil {
		t.Fatal(err)
	}
}

func (w *world) write(t *testing.T, key, text string) {
	t.Helper()
	if err := w.bucket.WriteAll(t.Context(), key, []byte(text), nil); err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsUnusualButHarmlessIsNoted(t *testing.T) {
	w := newWorld(t)
	w.write(t, "readme.txt", "?")
	w.write(t, "jobs/job-unborn/p-args-1", "?")
	w.write(t, "jobs/"+w.ids["succeeded"]+"/a-loser/x", "?")
	w.apply(t, edit{of: "queued", doc: func(d *document) {
		d.Data = append([]byte(`{"v":99,`), d.Data[len(`{"v":1,`):]...)
	}})
	w.apply(t, edit{of: "retrying", job: func(j *store.Job) { j.Attempts[0].End = j.Attempts[0].Start - 1 }})
	if err := w.coll.Create(t.Context(), &document{ID: "flow-1", Data: []byte(`{}`)}); err != nil {
		t.Fatal(err)
	}
	r := w.check(t, Options{})
	if !r.Clean() {
		t.Errorf("problems: %v", r.Problems)
	}
	var notes []string
	for _, n := range r.Notes {
		notes = append(notes, n.Rule)
	}
	for _, want := range []string{NoteForeign, NoteUnborn, NoteLeftover, NoteClock, NoteVersion, NoteNoun} {
		if !strings.Contains(strings.Join(notes, " "), want) {
			t.Errorf("%s is not noted; notes: %v", want, r.Notes)
		}
	}
}

// Versions before wrote a job that waits for its removal to the partitions of what is due, where sweep finds it too.
func TestAnEndedJobMayStandWhereEarlierVersionsWroteIt(t *testing.T) {
	w := newWorld(t)
	w.apply(t, edit{of: "succeeded", doc: func(d *document) {
		if !strings.HasPrefix(d.DuePK, "gone#") {
			t.Errorf("an ended job stands in %q, want gone#", d.DuePK)
		}
		d.DuePK = fmt.Sprintf("due#%02d", shardOf(d.ID, store.DueShards))
	}})
	if r := w.check(t, Options{}); !r.Clean() {
		t.Errorf("problems %v, want none", r.Problems)
	}
}

func TestNowIsRequired(t *testing.T) {
	w := newWorld(t)
	if _, err := Check(t.Context(), w.coll, w.bucket, Options{}); err == nil {
		t.Error("no error without a time")
	}
}

// Arguments are stored in a form that means the same, and is not always written the same.
func TestKeyedArgumentsOfAnyKindAreClean(t *testing.T) {
	w := newWorld(t)
	for n, args := range []string{
		`{"account":9007199254740993}`, `[9007199254740993,-0,1e400]`, `{"a":1,"a":2}`, `{"a":"<","b":"<","a":"\u003c"}`, `{"a":"\ud83d"}`,
		`{"a":"\ufffd"}`, `{"a":"\u0000\/"}`, `1.50`, `null`, strings.Repeat("[", 2000) + strings.Repeat("]", 2000),
	} {
		for range 2 {
			if _, err := w.rt.Client().Submit(t.Context(), "raw", stdjson.RawMessage(args), functions.Key(fmt.Sprint(n))); err != nil {
				t.Errorf("Submit: got %.80s: %v, want no error", args, err)
			}
		}
	}
	for _, p := range w.check(t, Options{}).Problems {
		t.Errorf("problem %v, want none", p)
	}
}
