package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/piecework/piecework/infra/program"
)

// A misspelt variable is refused by every command that reads any, and not ignored in silence.
func TestMisspeltVariablesAreRefused(t *testing.T) {
	for _, args := range [][]string{
		{"submit", "demo.echo"}, {"get", "job-x"}, {"list"}, {"wait", "job-x"}, {"cancel", "job-x"}, {"retry", "job-x"}, {"release", "job-x"},
		{"output", "job-x"}, {"kinds"}, {"parked"}, {"sweep"}, {"stats"}, {"fsck", "--dir", t.TempDir()},
	} {
		r := cli(t, "", []string{"PIECEWORK_ULR=http://127.0.0.1:1"}, args...)
		if r.code != exitUsage || r.out != "" || r.err != "piecework: unknown environment variable \"PIECEWORK_ULR\"; did you mean \"PIECEWORK_URL\"?\n" {
			t.Errorf(`%v: %+v, want r.code == exitUsage && r.out == "" && r.err == "piecework: unknown environment variable \"PIECEWORK_ULR\"; did you mean \"PIECEWORK_URL\"?\n"`, args, r)
		}
	}
	for _, args := range [][]string{{"version"}, {"list", "--help"}} {
		if r := cli(t, "", []string{"PIECEWORK_ULR=http://127.0.0.1:1"}, args...); r.code != exitOK {
			t.Errorf("%v reads no variable: %+v", args, r)
		}
	}
}

// The shell that ran the doctor of a deployment can ask the deployment's API.
func TestVariablesOfDeploymentsAreKnown(t *testing.T) {
	var names []string
	for _, v := range program.Variables() {
		if strings.HasPrefix(v.Name, "PIECEWORK_") {
			names = append(names, v.Name)
		}
	}
	var env []string
	for _, name := range names {
		if !slices.Contains([]string{"PIECEWORK_URL", "PIECEWORK_TOKEN"}, name) {
			env = append(env, name+"=x")
		}
	}
	if r := cli(t, "", append(env, "PIECEWORK_URL=http://127.0.0.1:1"), "list"); r.code != exitUnreachable {
		t.Errorf("%+v, want r.code == exitUnreachable", r)
	}
	for _, name := range deploymentVars {
		if !slices.Contains(names, name) {
			t.Errorf("%s is no variable of deployments any more", name)
		}
	}
}
