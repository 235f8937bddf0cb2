package program_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/piecework/piecework/infra/doctor"
)

func TestInitMayBeRunAgain(t *testing.T) {
	w := newWorld(t)
	for range 2 {
		status, out, errs := w.run("init")
		if status != 0 || errs != "" {
			t.Fatalf("status %d: %s", status, errs)
		}
		want(t, out, "is ready", "CREATE TABLE", "due_pk")
	}
	status, printed, _ := w.run("init", "--print")
	if status != 0 || !strings.HasPrefix(printed, "CREATE TABLE") {
		t.Errorf("status %d: %s", status, printed)
	}
}

func TestInitSaysWhatIsWrong(t *testing.T) {
	w := newWorld(t)
	w.env["PIECEWORK_STORE"] = "sqlite:///dev/null/records.db"
	status, _, errs := w.run("init")
	if status == 0 {
		t.Error("it made a table below a file")
	}
	want(t, errs, "PIECEWORK_STORE", "/dev/null/records.db")
}

func TestTheEnvironmentIsChecked(t *testing.T) {
	for name, tt := range map[string]struct{ variable, value, want string }{
		"unknown":     {"PIECEWORK_QUEUE", "x", `did you mean "PIECEWORK_QUEUES"?`},
		"ours":        {"PIECEWORK_PROBE_QUEU", "x", `did you mean "PIECEWORK_PROBE_QUEUE"?`},
		"missing":     {"PIECEWORK_STORE", "", "PIECEWORK_STORE is not set"},
		"duration":    {"PIECEWORK_LEASE", "soon", "want a duration"},
		"margin":      {"PIECEWORK_MARGIN", "-1s", "want a duration"},
		"concurrency": {"PIECEWORK_CONCURRENCY", "0", "from 1 to 10000"},
		"submit":      {"PIECEWORK_SUBMIT", "perhaps", "true or false"},
		"log":         {"PIECEWORK_LOG", "inof", `did you mean "info"?`},
		"probe":       {"PIECEWORK_PROBE_QUEUE", "submit", "name another"},
		"driver":      {"PIECEWORK_STORE", "dynamodb://jobs", "infra/drivers/aws"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, cmd := range []string{"worker", "init", "doctor"} {
				w := newWorld(t)
				w.env[tt.variable] = tt.value
				status, out, errs := w.run(cmd)
				if name == "driver" && cmd == "doctor" { // it is one of the findings
					status, errs = status+1, out
				}
				if status != 2 {
					t.Errorf("%s: status %d", cmd, status)
				}
				want(t, errs, tt.variable, tt.want)
			}
		})
	}
}

func TestTheCommandLineIsChecked(t *testing.T) {
	for line, text := range map[string]string{
		"docter":               "did you mean: doctor; see:",
		"help docter":          "did you mean: doctor; see:",
		"help doctor now":      `unknown command "now"`,
		"worker now":           `not "now"`,
		"doctor --jsno":        "did you mean --json?",
		"doctor --patience 0s": "from 1s to 1h",
	} {
		status, _, errs := newWorld(t).run(strings.Fields(line)...)
		if status != 2 {
			t.Errorf("%s: status %d", line, status)
		}
		want(t, errs, text)
	}
	_, help, _ := newWorld(t).run("--help")
	want(t, help, "pieceworkd [command]", `the command line "piecework" does`)
	for _, line := range []string{"--help", "help", "help doctor", "help environment"} {
		if status, out, errs := newWorld(t).run(strings.Fields(line)...); status != 0 || out == "" {
			t.Errorf("%s: status %d, output %q, errors %q; want status 0 and the help", line, status, out, errs)
		}
	}
}

func TestTheDoctorPrintsJSON(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.env["PIECEWORK_BLOBS"] = "file:///dev/null/blobs"
	status, out, _ := w.run("doctor", "--json", "--patience", "1s")
	var report struct {
		OK       bool             `json:"ok"`
		Findings []doctor.Finding `json:"findings"`
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatal(err)
	}
	last := report.Findings[len(report.Findings)-1]
	if status != 1 || report.OK || last.Level != doctor.Fail || last.What != "blobs open" || !strings.Contains(last.Remedy, "PIECEWORK_BLOBS") {
		t.Errorf("exit status = %d, report = %+v, want 1 and a failure to open the blobs", status, report)
	}
}
