package templates

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// programs are those below infra, built once each.
var programs sync.Map

// program builds the main of a target.
func program(t *testing.T, target string) string {
	t.Helper()
	once, _ := programs.LoadOrStore(target, sync.OnceValues(func() (string, error) {
		dir, err := tools()
		if err != nil {
			return "", err
		}
		out := filepath.Join(dir, target)
		return out, build(filepath.Join("..", ".."), out, "./infra/"+target)
	}))
	name, err := once.(func() (string, error))()
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// runProgram runs the program of a target with these variables and no others of ours, and fails the test if it fails.
func runProgram(t *testing.T, target string, env map[string]string, args ...string) string {
	t.Helper()
	out, errs, err := tryProgram(t, target, env, args...)
	if err != nil {
		t.Errorf("the program of %s with %v: %v\n%s", target, env, err, errs)
	}
	return out
}

func tryProgram(t *testing.T, target string, env map[string]string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	name := program(t, target)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = []string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH")}
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// The checks that programs know their variables would mean nothing if they took any.
func TestProgramsRefuseWhatTheyDoNotKnow(t *testing.T) {
	_, errs, err := tryProgram(t, "aws", map[string]string{
		"PIECEWORK_STORE": "dynamodb://t?region=eu-central-1", "PIECEWORK_QUEUES": "awssqs://sqs.eu-central-1.amazonaws.com/1/p-{queue}",
		"PIECEWORK_BLOBS": "s3://b?region=eu-central-1", "PIECEWORK_STREAMS": "true",
	}, "init", "--print")
	if err == nil || !strings.Contains(errs, "PIECEWORK_STREAMS") {
		t.Errorf("a misspelt variable: %v, %s", err, errs)
	}
}

// exported reads "export NAME='VALUE' NAME=VALUE ..." as a shell does.
func exported(script string) map[string]string {
	env := map[string]string{}
	for word := range strings.FieldsSeq(script) {
		if name, value, ok := strings.Cut(word, "="); ok {
			env[name] = strings.Trim(value, "'")
		}
	}
	return env
}
