package main

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/httpapi/apiclient"
	"github.com/piecework/piecework/functions/httpapi/wire"
	"github.com/piecework/piecework/store"
)

// The exit statuses for scripts. They never change.
const (
	exitOK          = 0
	exitError       = functions.ExitError // anything else
	exitUsage       = functions.ExitUsage // the command line or the configuration is wrong, or the server found the input wrong
	exitFailed      = 3                   // the job failed
	exitCancelled   = 4                   // the job was cancelled or skipped
	exitNotFound    = functions.ExitNotFound
	exitTimeout     = functions.ExitTimeout // the wait timed out; the job goes on
	exitUnreachable = 7                     // no server answers
	exitInterrupted = functions.ExitInterrupted
)

// exits are the exit statuses with their meanings.
var exits = []struct {
	status  int
	meaning string
}{
	{exitOK, "done"},
	{exitError, "any other error; fsck: a problem was found; retry and cancel of many: some were refused"},
	{exitUsage, "the command line, the environment or the input of the server is wrong"},
	{exitFailed, "wait, submit --wait: the job failed"},
	{exitCancelled, "wait, submit --wait: the job was cancelled or skipped"},
	{exitNotFound, "there is no such job, output, kind or message"},
	{exitTimeout, "the time was up; a job that was waited for goes on"},
	{exitUnreachable, "no server answers"},
	{exitInterrupted, "interrupted by ctrl-C or SIGTERM"},
}

// exitTopic is the page of the help about the exit statuses.
func exitTopic() *cobra.Command {
	var page strings.Builder
	page.WriteString("Each command ends with one of these statuses, which never change:\n\n")
	for _, e := range exits {
		_, _ = fmt.Fprintf(&page, "  %3d  %s\n", e.status, e.meaning)
	}
	page.WriteString("\nWith --json an error is one document on standard error, with the status, and with a code if it has one:\n\n" +
		`  {"error":{"exit_status":5,"detail":"no such job","code":"not_found"}}` + "\n\nThe codes:\n")
	for some := range slices.Chunk(functions.ErrorCodes(), 8) {
		page.WriteString("\n  " + strings.Join(some, " "))
	}
	return &cobra.Command{Use: "exit-status", Short: "The exit statuses, for scripts", Long: page.String()}
}

// exitHelp is exits in short, for the help texts of commands.
const exitHelp = `Exit status: 0 done, 1 error, 2 wrong command line or configuration, 3 the job failed, 4 the job was
cancelled or skipped, 5 no such job or output, 6 timed out, 7 no server answers, 130 interrupted.
See: piecework help exit-status`

// statusError is an error with an exit status of its own.
type statusError struct {
	status int
	err    error
}

func (e *statusError) Error() string { return e.err.Error() }
func (e *statusError) Unwrap() error { return e.err }

// usage returns an error of the command line.
func usage(format string, args ...any) error {
	return &statusError{exitUsage, fmt.Errorf(format, args...)}
}

// silent is an error whose text was printed already, or is not needed.
type silent struct{ status int }

func (e *silent) Error() string { return fmt.Sprintf("exit status %d", e.status) }

// exitStatus returns the exit status of a command that ended with err.
func exitStatus(err error) int {
	var told *statusError
	var quiet *silent
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &quiet):
		return quiet.status
	case errors.As(err, &told):
		return told.status
	case errors.Is(err, apiclient.ErrUnreachable):
		return exitUnreachable
	case errors.Is(err, errInterrupted):
		return exitInterrupted
	default:
		return functions.ExitStatus(err)
	}
}

// errInterrupted means that the user pressed ctrl-C.
var errInterrupted = errors.New("interrupted")

// stateStatus returns an error with the exit status for the final state of a job.
func stateStatus(i functions.Info) error {
	switch i.State {
	case store.Failed:
		return &silent{exitFailed}
	case store.Cancelled, store.Skipped:
		return &silent{exitCancelled}
	default:
		return nil
	}
}

// report prints an error on standard error: a line for people, a document for programs.
func (c *console) report(err error) {
	var quiet *silent
	if err == nil || errors.As(err, &quiet) {
		return
	}
	text := clean(explain(c, err))
	if !c.JSON {
		c.Notef("piecework: %s\n", text)
		return
	}
	type problem struct {
		Status int          `json:"exit_status"`
		Detail string       `json:"detail"`
		Code   string       `json:"code,omitempty"`
		Errors []wire.Fault `json:"errors,omitempty"`
	}
	p := problem{Status: exitStatus(err), Detail: text, Code: functions.ErrorCode(err)}
	if refused, ok := errors.AsType[*wire.Problem](err); ok {
		p.Code, p.Errors = refused.Code, refused.Errors
	}
	to := *c
	to.Out = c.Err
	_ = to.PrintJSON(map[string]any{"error": p}) // nowhere else to report it
}

// inFlags replaces names of the API with names of the command line.
var inFlags = strings.NewReplacer("body.kind", "KIND", "body.args", "ARGS", "body.key", "--key", "body.at", "--at", "body.delay", "--in",
	"body.queue", "--queue", "body.tags", "--tag", "body.max_attempts", "--max-attempts", "body.timeout", "--time-limit",
	"body.deadline", "--deadline", "body.retention", "--retention", "body.reason", "--reason", "body.for", "--for", "body.limit", "--limit",
	"query.kind", "--kind", "query.tag", "--tag", "query.limit", "--limit", "query.cursor", "--cursor", "path.id", "ID")

// explain returns an error's text, with what to do about it if the error does not say that.
func explain(c *console, err error) string {
	text := err.Error()
	var refused *wire.Problem
	if errors.As(err, &refused) {
		text = inFlags.Replace(text)
	}
	switch {
	case errors.Is(err, errInterrupted):
		return "interrupted"
	case errors.Is(err, apiclient.ErrUnreachable):
		reason := ""
		if !strings.Contains(text, "connection refused") {
			reason = " (" + text + ")"
		}
		return fmt.Sprintf("no Piecework server at %s%s; start one with: piecework up", c.url, reason)
	case errors.As(err, &refused) && refused.Status == http.StatusUnauthorized:
		return text + "; give it with --token or PIECEWORK_TOKEN"
	case errors.As(err, &refused) && len(refused.Errors) > 1:
		for _, f := range refused.Errors {
			text += "\n  " + inFlags.Replace(f.Location) + ": " + f.Message
		}
	}
	return text
}
