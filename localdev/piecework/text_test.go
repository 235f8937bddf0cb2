package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/store"
)

// hidden are characters that a terminal obeys or does not show.
const hidden = "\x00\x07\b\r\x1b\x7f\u0085\u009b\u00ad\u034f\u061c\u115f\u180e\u200b\u200c\u200d\u200e\u200f\u2028\u2029" +
	"\u202a\u202b\u202c\u202d\u202e\u2060\u2064\u2066\u2067\u2068\u2069\u206f\u3164\ufeff\ufff9\ufffb\U000e0001\U000e0041"

func TestClean(t *testing.T) {
	for _, c := range []struct{ what, in, want string }{
		{"hidden characters", "a" + hidden + "b", "ab"},
		{"an escape of a terminal", "a\x1b]0;title\x07b\n\tc\xff", "a]0;titleb\n\tc�"},
		{"a name backwards", "invoice\u202efdp.exe", "invoicefdp.exe"},
		{"languages", "Müller, 山田, שלום, مرحبا, \u0600١٢", "Müller, 山田, שלום, مرحبا, \u0600١٢"},
		{"variants of characters", "☃\ufe0f é", "☃\ufe0f é"},
	} {
		t.Run(c.what, func(t *testing.T) {
			if got := clean(c.in); got != c.want {
				t.Errorf("clean(%q) = %q, want %q", c.in, got, c.want)
			}
			if got := plain("\x1b[31m" + c.in + "\x1b[0m"); got != "\x1b[31m"+c.want+"\x1b[0m" {
				t.Errorf("plain of %q in red = %q, want %q in red", c.in, got, c.want)
			}
		})
	}
	if got, want := oneLine(" a\n\tb\u2028c "), "a bc"; got != want {
		t.Errorf("oneLine = %q, want %q", got, want)
	}
}

// printed fails for a text in which something is hidden.
func printed(t *testing.T, what, text string) {
	t.Helper()
	if i := strings.IndexAny(text, strings.ReplaceAll(hidden, "\n", "")); i >= 0 || !utf8.ValidString(text) {
		t.Errorf("%s prints %q, want no hidden character", what, text)
	}
}

// Nothing of a record comes through to the terminal, whichever field it stands in.
func TestNothingHiddenIsPrinted(t *testing.T) {
	bad := "x" + hidden + "\xffy"
	raw, err := json.Marshal(bad)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Unix(0, 0)
	job := functions.Info{
		ID: bad, Kind: bad, State: store.State(bad), Queue: bad, Key: bad, Tags: []string{bad}, Worker: bad, Waiting: bad, Error: bad, Reason: bad,
		Args: raw, Result: json.RawMessage("\"" + hidden[7:] + "\""), Progress: &functions.ProgressInfo{Message: bad}, OutputCount: 1,
		Outputs:  []functions.OutputInfo{{Name: bad, ContentType: bad, SHA256: bad}},
		Attempts: []functions.AttemptInfo{{Number: 1, Start: at, End: at, Outcome: store.Outcome(bad), Error: bad, Stack: bad}},
	}
	for what, show := range map[string]func(c *console){
		"get":      func(c *console) { c.job(job) },
		"list":     func(c *console) { c.list(functions.List{Jobs: []functions.Info{job}, Next: bad}) },
		"wait":     func(c *console) { c.printEnd(job) },
		"progress": func(c *console) { newProgress(c).see(job) },
		"an error": func(c *console) { c.report(usage("no job %s", bad)) },
		"JSON":     func(c *console) { c.JSON = true; _ = c.PrintJSON(job) },
		"an error in JSON": func(c *console) {
			c.JSON = true
			c.report(usage("no job %s", bad))
		},
	} {
		t.Run(what, func(t *testing.T) {
			var out, errs bytes.Buffer
			show(newConsole(nil, &out, &errs, nil))
			printed(t, what, out.String())
			printed(t, what, errs.String())
			if out.Len()+errs.Len() == 0 {
				t.Error("it prints nothing")
			}
		})
	}
}

// What JSON escapes is the same text, on one line and not much longer, however deep it is nested.
func TestPrintJSON(t *testing.T) {
	var out bytes.Buffer
	deep := strings.Repeat("[", 5000) + strings.Repeat("]", 5000)
	want := map[string]any{"text": "<a & b> ü \U0001f600 " + hidden, "deep": json.RawMessage(deep)}
	if err := newConsole(nil, &out, &out, nil).PrintJSON(want); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Text string          `json:"text"`
		Deep json.RawMessage `json:"deep"`
	}
	if err := json.Unmarshal(out.Bytes(), &got); err != nil || got.Text != want["text"] || string(got.Deep) != deep {
		t.Errorf("read back as %q (%v), want %q", got.Text, err, want["text"])
	}
	if n := strings.Count(out.String(), "\n"); n != 1 || !strings.HasPrefix(out.String(), "{") {
		t.Errorf("%d lines, want 1", n)
	}
	if most := len(deep) + 1000; out.Len() > most {
		t.Errorf("%d bytes, want at most %d", out.Len(), most)
	}
	if !strings.Contains(out.String(), "<a & b> ü \U0001f600") {
		t.Errorf("printed %.200q, want what can be seen as it is", out.String())
	}
}

// brokenWriter is standard output on a full disk: some of it may come through.
type brokenWriter struct{ room int }

func (b *brokenWriter) Write(p []byte) (int, error) {
	n := min(b.room, len(p))
	if b.room -= n; n < len(p) {
		return n, syscall.ENOSPC
	}
	return n, nil
}

// A command whose output is lost has failed, and says so.
func TestWhatCannotBePrinted(t *testing.T) {
	s := start(t, t.TempDir())
	id := strings.TrimSpace(s.ask(t, "submit", "demo.echo", `{"a":1}`).out)
	s.ask(t, "wait", id)
	s.ask(t, "submit", "demo.echo", "[1]", "--held")
	commands := [][]string{
		{"list"}, {"list", "--json"}, {"get", id}, {"get", id, "--json"}, {"wait", id}, {"wait", id, "--json"}, {"kinds"}, {"stats"},
		{"submit", "demo.echo", "1"}, {"submit", "demo.echo", "1", "--json"}, {"submit", "demo.echo", `{"a":1}`, "--wait"}, {"version"}, {"--help"},
		{"wait", "--timeout", "1ms", "--json", strings.TrimSpace(s.ask(t, "submit", "demo.echo", "2", "--held").out)},
	}
	for _, args := range commands {
		for _, room := range []int{0, 3} {
			var errs bytes.Buffer
			c := newConsole(strings.NewReader(""), &brokenWriter{room}, &errs, []string{"PIECEWORK_URL=" + s.url})
			if code := run(t.Context(), args, c); code != exitError || !strings.Contains(errs.String(), "cannot print: no space left on device") {
				t.Errorf("%v with room for %d bytes: exit status %d, %q, want %d and what is wrong", args, room, code, errs.String(), exitError)
			}
		}
	}
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("this system has no full device: ", err)
	}
	defer full.Close()
	if code := run(t.Context(), []string{"list"}, newConsole(nil, full, io.Discard, []string{"PIECEWORK_URL=" + s.url})); code != exitError {
		t.Errorf("list > /dev/full: exit status %d, want %d", code, exitError)
	}
}
