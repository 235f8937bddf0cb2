package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

// full is a record that uses every member.
func full() Job {
	blob := &Blob{Key: "jobs/job-1/p-args-abc", Size: 40_000, SHA256: "abc"}
	outs := []Output{{Name: "a.csv", ContentType: "text/csv", Parts: []Blob{*blob, {Key: "k", Size: 1}}}}
	return Job{
		Version: 2, ID: "job-1", Kind: "banking.statement", Queue: "reports", State: Running, Created: 1000, At: 2000,
		Deadline: 3000, Ended: 4000, Args: Payload{Blob: blob}, ArgsHash: "h", Key: "acct-42/2026-11",
		Tags: []string{"x", "y"}, Parent: "flow-1", Trace: map[string]string{"traceparent": "00-1"},
		Policy: Policy{
			MaxAttempts: 5, MaxErrors: 4, MaxTimeouts: 3, MaxLost: 2, Timeout: 1, Retention: 9, Hooks: true,
			Backoff: Backoff{Shape: "linear", Min: 1, Max: 2},
		},
		Ready: 4, Run: 7, Attempt: 2, Past: 4, Errors: 1, Timeouts: 1, Lost: 1, Cleared: 1, Resends: 3, Idle: 2,
		Lease:    &Lease{Token: "t", Worker: "w", Start: 5, Until: 6},
		Attempts: []Attempt{{Number: 1, Token: "s", Worker: "w", Start: 1, End: 2, Outcome: OutcomePanic, Error: "e", Stack: "st"}},
		Error:    "e", Checkpoint: Payload{Inline: jsontext.Value(`{"row":7}`)}, Saved: 3, Open: outs,
		OpenIn:    []Manifest{{Blob: *blob, Level: 2}},
		OutputsIn: &Manifest{Blob: *blob, Outputs: 7},
		Progress:  &Progress{Done: 1, Total: 2, Message: "m", At: 8}, Cancel: 1, CancelReason: "c", Reason: "r",
		Result: Payload{Inline: jsontext.Value(`[1,2]`)}, Outputs: outs, Outbox: []Effect{EffectPurge, EffectHooks},
		Dirty: true, Requeued: "q", Due: 77, Expires: 78, Nonce: "n", Write: "w",
	}
}

func TestARecordSurvivesEncodingWhole(t *testing.T) {
	want := full()
	r, err := encode(want, MaxRecord)
	if err != nil {
		t.Fatal(err)
	}
	got, err := decode(r)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestTheFixtureUsesEveryMember(t *testing.T) {
	v := reflect.ValueOf(full())
	for f, value := range v.Fields() {
		if f.Name != "Extra" && f.Name != "rev" && value.IsZero() {
			t.Errorf("full() leaves %s zero, want a value in each member", f.Name)
		}
	}
}

// newer puts a member that this version does not know into every object of the record.
func newer(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			if k != "trace" && k != "inline" { // these are the user's
				v[k] = newer(v[k])
			}
		}
		v["from_the_future"] = map[string]any{"since": "v2"}
	case []any:
		for i := range v {
			v[i] = newer(v[i])
		}
	}
	return v
}

func TestUnknownMembersSurviveARewriteAtEveryLevel(t *testing.T) {
	r, err := encode(full(), MaxRecord)
	if err != nil {
		t.Fatal(err)
	}
	var tree any
	if err := json.Unmarshal(r, &tree); err != nil {
		t.Fatal(err)
	}
	tree = newer(tree)
	want, err := json.Marshal(tree)
	if err != nil {
		t.Fatal(err)
	}
	j, err := decode(want)
	if err != nil {
		t.Fatal(err)
	}
	kept, _, err := j.heartbeat(Timing{}.withDefaults(), Heartbeat{Token: "t", Now: 1})
	if err != nil {
		t.Fatal(err)
	}
	kept.Due, kept.Lease.Until = j.Due, j.Lease.Until
	r, err = encode(kept, MaxRecord)
	if err != nil {
		t.Fatal(err)
	}
	var again any
	if err := json.Unmarshal(r, &again); err != nil {
		t.Fatal(err)
	}
	if got, err := json.Marshal(again); err != nil || !bytes.Equal(got, want) {
		t.Errorf("error %v\ngot  %s\nwant %s", err, got, want)
	}
}

func TestARecordOfANewerVersionIsReadButRefused(t *testing.T) {
	for name, data := range map[string]string{
		"same members":  `{"v":3,"id":"job-1","kind":"a","state":"queued","created":1}`,
		"other members": `{"v":3,"id":"job-1","kind":{"name":"a"},"state":["queued"]}`,
		"unknown state": `{"v":9,"id":"job-1","kind":"a","state":"paused"}`,
	} {
		j, err := decode([]byte(data))
		if !errors.Is(err, ErrNewerRecord) || !strings.Contains(err.Error(), "job-1") ||
			!strings.Contains(err.Error(), "update this process") {
			t.Errorf("%s: error %v, want %v that names job-1 and says what to do", name, err, ErrNewerRecord)
		}
		if j.ID != "job-1" || j.Version < 3 {
			t.Errorf("%s: id %q, version %d, want job-1 and the newer version", name, j.ID, j.Version)
		}
	}
}

func TestCorruptBytesAreRefused(t *testing.T) {
	for _, data := range []string{"", "{", "null x", `{"v":"x"}`, `{"v":1,"state":7}`, "\x00\xff", `[1]`} {
		if _, err := decode([]byte(data)); !errors.Is(err, ErrCorrupt) {
			t.Errorf("decode(%q) = %v, want %v", data, err, ErrCorrupt)
		}
	}
}

func TestTextThatIsNotUTF8IsStoredAllTheSame(t *testing.T) {
	j := full()
	j.Error, j.Tags = "pq: bad byte \xff", []string{"\xfe"}
	j.Args = Payload{Inline: jsontext.Value("{\"a\":1,\"a\":2,\"b\":\"\xff\"}")}
	r, err := encode(j, MaxRecord)
	if err != nil {
		t.Fatal(err)
	}
	got, err := decode(r)
	if err != nil || got.Error != "pq: bad byte \uFFFD" {
		t.Errorf("error %v, text %q, want nil and a replacement character", err, got.Error)
	}
	if _, err := encode(got, MaxRecord); err != nil {
		t.Error(err)
	}
}

func TestARecordThatIsTooLargeIsRefused(t *testing.T) {
	j := full()
	j.Trace = map[string]string{"tracestate": strings.Repeat("x", MaxRecord)}
	if _, err := encode(j, MaxRecord); !errors.Is(err, ErrTooLarge) || !strings.Contains(err.Error(), "400000") {
		t.Errorf("error %v, want %v with the limit", err, ErrTooLarge)
	}
}

func TestTheLargestOrdinaryRecordFits(t *testing.T) {
	j := full()
	inline := jsontext.Value(`"` + strings.Repeat("x", MaxInline-2) + `"`)
	j.Args, j.Checkpoint, j.Result = Payload{Inline: inline}, Payload{Inline: inline}, Payload{Inline: inline}
	j.Attempts = nil
	for range MaxAttemptsKept {
		j.Attempts = append(j.Attempts, Attempt{Error: strings.Repeat("<", MaxErrorText), Token: "t"})
	}
	j.Attempts[0].Stack = strings.Repeat("\t", MaxStack)
	j.Error, j.Key = strings.Repeat("<", MaxErrorText), strings.Repeat("k", 512)
	for range 20 {
		j.Tags = append(j.Tags, strings.Repeat("t", 200))
	}
	if r, err := encode(j, MaxRecord); err != nil {
		t.Error(err)
	} else if len(r) > MaxGrown*3/4 {
		t.Errorf("the record has %d bytes, want at most %d, to leave room for outputs", len(r), MaxGrown*3/4)
	}
}

func TestClipCutsAtARune(t *testing.T) {
	if got := Clip("kurz", 10); got != "kurz" {
		t.Errorf("Clip(kurz, 10) = %q, want it as it is", got)
	}
	for n := 20; n < 30; n++ {
		got := Clip(strings.Repeat("ä", 100), n)
		if len(got) > n || !strings.HasSuffix(got, "… (cut)") || strings.ContainsRune(got, '\uFFFD') {
			t.Errorf("Clip(100 times ä, %d) = %q, want whole runes and the mark in at most %d bytes", n, got, n)
		}
	}
	if got, want := Clip(strings.Repeat("\xff", 100), 20), "\uFFFD… (cut)"; got != want {
		t.Errorf("of bytes that are no text it keeps %q, want %q", got, want)
	}
}

func TestSortKeysSortAsTimesDo(t *testing.T) {
	last := ""
	for _, at := range []Time{-5, 0, 1, 999, 1000, 1_795_000_000_000, 253_402_300_799_000} {
		if k := sortKey(at, "job-1"); k < last {
			t.Errorf("%q sorts before %q, want it to sort after", k, last)
		} else if last = k; !strings.HasSuffix(k, "#job-1") {
			t.Errorf("sort key %q does not end with the id, want #job-1", k)
		}
	}
}

func FuzzDecode(f *testing.F) {
	r, err := encode(full(), MaxRecord)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(r)
	f.Add([]byte(`{"v":3}`))
	f.Add([]byte(`{"v":1,"x":1,"x":2,"lease":{"y":"\ud800"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		j, err := decode(data)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrNewerRecord) {
				t.Fatal(err)
			}
			return
		}
		r, err := encode(j, MaxRecord)
		if err != nil {
			if errors.Is(err, ErrTooLarge) {
				return
			}
			t.Fatalf("read, but cannot be written: %v, want nil", err)
		}
		if again, err := decode(r); err != nil {
			t.Fatalf("written, but cannot be read: %v, want nil", err)
		} else if again.ID != j.ID || again.State != j.State || again.Due != j.Due {
			t.Fatalf("read again: %+v, want %+v", again, j)
		}
	})
}

// typical is what a plain job's record looks like while it runs.
func typical() Job {
	return Job{
		Version: 1, ID: "job-01jd8f2k3m4n5p6q7r8s9t0v1w", Kind: "banking.statement", Queue: "default", State: Running,
		Created: 1_795_262_400_000, Args: Payload{Inline: jsontext.Value(`{"account":"acct-42","month":"2026-11"}`)},
		Policy: Policy{MaxAttempts: 5, MaxLost: 3, Timeout: 3_600_000, Retention: 1_209_600_000, Backoff: Backoff{Shape: "exponential", Min: 1000, Max: 600_000}},
		Run:    1, Attempt: 1, Lease: &Lease{Token: "1a2b3c", Worker: "host/1", Start: 1_795_262_400_100, Until: 1_795_262_460_100},
		Due: 1_795_262_520_000, Nonce: "abc", Write: "def",
	}
}

func BenchmarkEncode(b *testing.B) {
	j := typical()
	for b.Loop() {
		if _, err := encode(j, MaxRecord); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	r, err := encode(typical(), MaxRecord)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(r)))
	for b.Loop() {
		if _, err := decode(r); err != nil {
			b.Fatal(err)
		}
	}
}
