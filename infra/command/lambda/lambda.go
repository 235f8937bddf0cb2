// Package lambda is the program of a deployment on AWS Lambda: what infra/aws calls.
//
//	func main() { lambda.Main(jobs.New(), aws.Register) }
//
// On Lambda the program is one of four functions, which PIECEWORK_FUNCTION names: submit, execute, sweep or api. All are
// the same binary; package functions/lambda tells what calls each and what it answers. Elsewhere it has the commands of
// package command: worker, init and doctor.
//
// # Environment
//
// Beside what package command reads:
//
//	PIECEWORK_FUNCTION       submit, execute, sweep or api
//	PIECEWORK_CONCURRENCY    how many messages of one event are handled at once; unset: all of them
//	PIECEWORK_TOKENS         bearer tokens of the function api: ROLE:TOKEN or ROLE:NAME:TOKEN, separated by commas
//	PIECEWORK_TOKEN_FILE     a file of them, one a line
//	PIECEWORK_STREAM=false   true: the function api streams its answers; its URL's invoke mode must be RESPONSE_STREAM
//
// Whoever calls the function api needs a token, or must have been let in by IAM: a function URL of the type AWS_IAM, or an
// API of API Gateway with IAM authorization. Whom IAM lets in may do everything. A signed request has no room for a token
// beside the signature, so one that bears a token is judged by it alone.
//
// The function of execute needs a timeout of more than twice PIECEWORK_MARGIN (5s): if PIECEWORK_FUNCTION_TIMEOUT tells the
// timeout, that is checked at the start.
//
// # Messages that are given back
//
// What a function gives back comes again at a time that the function tells the queue, for which its role needs
// sqs:ChangeMessageVisibility. Without it that is logged, and the queue's visibility timeout counts: six times the
// function's timeout.
//
// # Beginning and end
//
// What is wrong with the environment ends the process before its first invocation, and is told to Lambda as the error of
// the function's initialization. Connections are made once, and last as long as the process.
//
// Before Lambda ends an idle process it sends SIGTERM, and SIGKILL half a second later. In between, the resources that
// handlers opened are closed, and the connections. Usually nothing runs then. What does run, because an invocation has
// timed out, is cancelled with functions.ErrShutdown: a job whose handler returns at once goes back to its queue, with its
// checkpoint and without having used an attempt. For others half a second is too short: sweep finds them when their leases
// have run out.
//
// # Where things are
//
// lambda.go has the program, serve.go its life on Lambda, choose.go which function it is, hide.go what it tells the queues
// of messages that it gives back, api.go who may use the HTTP API.
package lambda

import (
	"bytes"
	"context"
	"io"
	"os"
	"sync"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/infra/command"
	"github.com/piecework/piecework/infra/drivers"
)

// runtimeAPI is the variable by which Lambda tells a process where to ask for invocations.
const runtimeAPI = "AWS_LAMBDA_RUNTIME_API"

// Main runs the process's command line, or on Lambda its function, and ends the process. Register are the drivers'
// functions Register, of the services that the environment may name.
func Main(jobs *functions.Registry, register ...func(*drivers.Set)) {
	p := &process{api: os.Getenv(runtimeAPI)}
	app := command.App{Jobs: jobs, Drivers: register, Modes: []command.Mode{{
		Name:  "lambda",
		Short: "Be one of the functions on AWS Lambda",
		Long:  "Answers the invocations of the function that PIECEWORK_FUNCTION names: submit, execute, sweep or api.\nIt is what the program does on Lambda without a command.",
		Here:  func(environ []string) bool { return getenv(environ, runtimeAPI) != "" },
		Check: check,
		Run:   p.serve,
	}}}
	if p.api == "" || len(os.Args) > 1 { // a command, wherever it is
		app.Main()
	}
	said := &tail{}
	status := app.Run(context.Background(), os.Args[1:], os.Stdout, io.MultiWriter(os.Stderr, said), os.Environ())
	if status != 0 && !p.began.Load() {
		p.failed(said.String())
	}
	os.Exit(status)
}

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

// Write keeps the end.
func (t *tail) Write(p []byte) (int, error) {
	const most = 4000
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if n := len(t.text) - most; n > 0 {
		t.text = append(t.text[:0], t.text[n:]...)
	}
	return len(p), nil
}

// String is what was kept.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.ToValidUTF8(bytes.TrimSpace(t.text), nil))
}
