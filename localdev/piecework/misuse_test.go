package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

func TestMisuse(t *testing.T) {
	for _, c := range []struct {
		args []string
		text string
	}{
		{[]string{"sumbit"}, `unknown command "sumbit" for "piecework"; did you mean: submit`},
		{[]string{"help", "parkd"}, `unknown command "parkd" for "piecework"; did you mean: parked`},
		{[]string{"help", "parked", "replya"}, `unknown command "replya" for "piecework parked"; did you mean: replay`},
		{[]string{"help", "nonsense"}, "unknown command \"nonsense\" for \"piecework\"\nSee: piecework --help"},
		{[]string{"list", "--kidn", "x"}, "unknown flag --kidn; did you mean --kind?"},
		{[]string{"submit", "demo.echo", "--after", "5m"}, "unknown flag --after; did you mean --in?"},
		{[]string{"submit", "demo.echo", "--max-retries", "3"}, "unknown flag --max-retries; did you mean --max-attempts?"},
		{[]string{"list", "--status", "failed"}, "unknown flag --status; did you mean --state?"},
		{[]string{"list", "--after", "5m"}, "unknown flag --after; did you mean --since?"},
		{[]string{"list", "--since", "yesterday"}, `--since "yesterday": write it as 2h, for two hours ago`},
		{[]string{"list", "--before", "-2h"}, `--before "-2h": write it as 2h`},
		{[]string{"list", "--state", "queued,hedl"}, `unknown state "hedl"; did you mean "held"?`},
		{[]string{"count", "--scan", "0"}, "--scan 0: must be at least 1"},
		{[]string{"list", "--limit", "x"}, `--limit "x": want a number`},
		{[]string{"list", "--state", "hedl"}, `unknown state "hedl"; did you mean "held"?`},
		{[]string{"list", "x"}, "takes no arguments"},
		{[]string{"get"}, "want the ID of a job"},
		{[]string{"get", "a", "b"}, `and not "b" too`},
		{[]string{"submit"}, "want KIND [ARGS]"},
		{[]string{"submit", "demo.echo", "{a:1}"}, "the shell removed the quotes"},
		{[]string{"submit", "demo.echo", "hello"}, `'"hello"'`},
		{[]string{"submit", "demo.echo", "@/none"}, "no such file"},
		{[]string{"submit", "demo.echo", "--key", "M\xfcller"}, `"M\xfcller" is not UTF-8`},
		{[]string{"list", "--tag", "M\xfcller"}, `"M\xfcller" is not UTF-8`},
		{[]string{"submit", "demo.echo", "--at", "tomorrow"}, "--at \"tomorrow\": write it as"},
		{[]string{"submit", "demo.echo", "--at", "2030-01-01", "--in", "5s"}, "mutually exclusive"},
		{[]string{"wait", "job-x", "--timeout", "-5s"}, "cannot be negative"},
		{[]string{"submit", "demo.echo", "--timeout", "5s"}, "--timeout limits --wait, which is not given; --time-limit limits an attempt"},
		{[]string{"submit", "demo.echo", "--wait", "--timeout", "-5s"}, "--timeout -5s: cannot be negative"},
		{[]string{"wait", "job-x", "--timeout", "5"}, "want a duration, as in 90s"},
		{[]string{"list", "--url", "ftp://x"}, "write it as in http://127.0.0.1:7433"},
		{[]string{"retry", "--kind", "demo.fail", "job-x"}, "want IDs or a filter, and not both"},
		{[]string{"retry", "--state", "held"}, `--state: unknown state "held"; known are failed, cancelled`},
		{[]string{"cancel", "job-x", "--yes"}, "--yes is for a filter, such as --kind"},
		{[]string{"cancel", "--since", "tomorrow"}, `--since "tomorrow": write it as`},
		{[]string{"fsck", "--dir", "/none"}, "there is no store in /none"},
	} {
		if r := cli(t, "", nil, c.args...); r.code != exitUsage || !strings.Contains(r.err, c.text) || r.out != "" {
			t.Errorf("%v: %+v, want %q", c.args, r, c.text)
		}
	}
}

// A synonym whose flag was renamed would suggest nothing, and one that is a flag of all commands
// with the flag would never be looked up.
func TestSynonymsAreOfFlags(t *testing.T) {
	flags := map[string][]string{} // by command
	for _, cmd := range rootCommand(newConsole(strings.NewReader(""), nil, nil, nil)).Commands() {
		cmd.Flags().VisitAll(func(f *pflag.Flag) { flags[cmd.Name()] = append(flags[cmd.Name()], f.Name) })
	}
	for _, s := range synonyms {
		for _, name := range s.names {
			found := false
			for _, of := range flags {
				found = found || slices.Contains(of, s.flag) && !slices.Contains(of, name) && sameMeaning(name, of) == s.flag
			}
			if !found {
				t.Errorf("--%s suggests --%s for no command, want it to for one at least", name, s.flag)
			}
		}
	}
}

func TestServersRefusalsInFlags(t *testing.T) {
	s := start(t, t.TempDir())
	for _, c := range []struct {
		args []string
		code int
		text string
	}{
		{[]string{"submit", "demo.ecko"}, exitUsage, `did you mean "demo.echo"?`},
		{[]string{"submit", "demo.sleep", `{"fro":"1s"}`}, exitUsage, `unknown field "fro"; did you mean "for"?`},
		{[]string{"submit", "demo.echo", "--in", "5x"}, exitUsage, `--in: "5x" is not a duration`},
		{[]string{"list", "--limit", "2000"}, exitUsage, "--limit: expected number <= 1000"},
		{[]string{"list", "--cursor", "x"}, exitUsage, "not a cursor"},
		{[]string{"get", "job-none"}, exitNotFound, "no such job"},
		{[]string{"get", "non"}, exitNotFound, "they begin with job-"},
		{[]string{"retry", strings.TrimSpace(s.ask(t, "submit", "demo.echo", "--held").out)}, exitError,
			"cannot retry a job that is held: a retry is for failed and cancelled jobs; release it instead"},
	} {
		if r := s.ask(t, c.args...); r.code != c.code || !strings.Contains(r.err, c.text) {
			t.Errorf("%v: %+v, want %d and %q", c.args, r, c.code, c.text)
		}
	}
	r := s.ask(t, "get", "job-none", "--json")
	var doc struct {
		Error struct {
			ExitStatus int    `json:"exit_status"`
			Code       string `json:"code"`
		} `json:"error"`
	}
	if err := json.Unmarshal([]byte(r.err), &doc); err != nil || doc.Error.ExitStatus != exitNotFound || doc.Error.Code != "not_found" || r.out != "" {
		t.Errorf(`--json: %+v, %v, want err == nil && doc.Error.ExitStatus == exitNotFound && doc.Error.Code == "not_found" && r.out == ""`, r, err)
	}
}

func TestNoServer(t *testing.T) {
	r := cli(t, "", []string{"PIECEWORK_URL=http://127.0.0.1:1"}, "list")
	if r.code != exitUnreachable || r.err != "piecework: no Piecework server at http://127.0.0.1:1; start one with: piecework up\n" {
		t.Errorf(`%+v, want r.code == exitUnreachable && r.err == "piecework: no Piecework server at http://127.0.0.1:1; start one with: piecework up\n"`, r)
	}
}

func TestParseTime(t *testing.T) {
	for text, want := range map[string]time.Time{
		"2026-12-01T06:00:00Z": time.Date(2026, 12, 1, 6, 0, 0, 0, time.UTC),
		"2026-12-01 06:00":     time.Date(2026, 12, 1, 6, 0, 0, 0, time.Local),
		"2026-12-01":           time.Date(2026, 12, 1, 0, 0, 0, 0, time.Local),
	} {
		if got, err := parseTime("--at", text); err != nil || !got.Equal(want) {
			t.Errorf("%q = %v, %v, want %v", text, got, err, want)
		}
	}
}

// The server takes jobs alone, so its help says where a trigger can be tried.
func TestTheHelpOfUpTellsHowToTryATrigger(t *testing.T) {
	help := strings.Join(strings.Fields(cli(t, "", nil, "up", "--help").out), " ")
	for _, want := range []string{"no messages of other systems", "SubmitMessage of localdev.Stack", "Message of kit.Kit"} {
		if !strings.Contains(help, want) {
			t.Errorf("up --help does not say %q:\n%s", want, help)
		}
	}
}

func TestHelpOfACommandThatExists(t *testing.T) {
	for _, args := range [][]string{{"help"}, {"help", "parked"}, {"help", "parked", "replay"}, {"help", "ls"}, {"help", "help"}, {"help", "completion", "bash"}} {
		if r := cli(t, "", nil, args...); r.code != exitOK || !strings.Contains(r.out, "Usage:") || r.err != "" {
			t.Errorf("%v = %+v, want the usage and exit status 0", args, r)
		}
	}
}

// Each command's help has no trailing blanks, and tells the default of each flag, unless the default
// restricts and adds nothing.
func TestTheHelpTellsDefaults(t *testing.T) {
	nothing := []string{"token", "tokens", "token-file", "key", "at", "in", "kind", "state", "tag", "queue", "since", "before", "cursor", "reason", "output"}
	for _, cmd := range rootCommand(newConsole(strings.NewReader(""), nil, nil, nil)).Commands() {
		for n, line := range strings.Split(cli(t, "", nil, cmd.Name(), "--help").out, "\n") {
			if strings.TrimRight(line, " ") != line {
				t.Errorf("%s --help, line %d ends with a blank: %q", cmd.Name(), n+1, line)
			}
		}
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			told := strings.Contains(f.Usage, "(default") || !slices.Contains([]string{"", "0", "0s", "[]"}, f.DefValue)
			if !told && !slices.Contains(nothing, f.Name) {
				t.Errorf("%s --help does not tell the default of --%s", cmd.Name(), f.Name)
			}
		})
	}
}
