// Package onlambda is the mode of package program in which it is a function on AWS Lambda. It is a
// package of its own so that only programs for AWS link Amazon's library. infra/aws calls it:
//
//	func main() { onlambda.Main(jobs.New(), aws.Register) }
//
// On Lambda the program is one of four functions, which PIECEWORK_FUNCTION names: submit, execute,
// sweep or api. All are the same binary. Package functions/lambda says what calls each of them and
// what it answers. Elsewhere the program has the commands of package program. "help environment"
// lists the variables.
//
// Callers of the function api need a token, or must have been let in by IAM: by a function URL of
// the type AWS_IAM, or by an API of API Gateway with IAM authorization. A caller that IAM lets in
// may do everything. A signed request has no room for a token beside the signature, so a request
// with a token is judged by the token alone.
//
// The function execute needs a timeout of more than twice PIECEWORK_MARGIN. If
// PIECEWORK_FUNCTION_TIMEOUT says the timeout, that is checked at the start.
//
// # Messages that are given back
//
// A message that a function gives back comes again at a time that the function tells the queue. The
// function's role needs sqs:ChangeMessageVisibility for that. Without it that is logged, and the
// message comes again after the queue's visibility timeout, which is six times the function's
// timeout.
//
// # Start and end
//
// An error in the environment ends the process before its first invocation. Lambda gets it as the
// error of the function's initialization. Connections are opened once and last as long as the
// process.
//
// Before Lambda ends an idle process it sends SIGTERM, and SIGKILL half a second later. In between
// the process closes the resources that handlers opened, and the connections. Usually nothing runs
// then. An invocation that has timed out may still run: its jobs are cancelled with
// functions.ErrShutdown. A job whose handler returns at once goes back to its queue, with its
// checkpoint and without having used an attempt. For others half a second is too short: sweep finds
// them when their leases have run out.
//
// # Files
//
// lambda.go has the program and its life on Lambda, functions.go the four functions.
package onlambda

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	awslambda "github.com/aws/aws-lambda-go/lambda"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/infra/program"
)

// runtimeAPI is the variable by which Lambda tells a process where to ask for invocations.
const runtimeAPI = "AWS_LAMBDA_RUNTIME_API"

// Main runs the process's command line, or on Lambda its function, and ends the process. Register
// are the functions Register of the drivers of the services that the environment may name.
func Main(jobs *functions.Registry, register ...func(*drivers.Set)) {
	p := &process{api: os.Getenv(runtimeAPI)}
	app := program.App{Jobs: jobs, Drivers: register, Modes: []program.Mode{{
		Name:  "lambda",
		Short: "Be one of the functions on AWS Lambda",
		Long:  "Answers the invocations of the function that PIECEWORK_FUNCTION names: submit, execute, sweep or api.\nIt is what the program does on Lambda without a command.",
		Here:  func(getenv func(string) string) bool { return getenv(runtimeAPI) != "" },
		Check: check,
		Run:   p.serve,
	}}}
	if p.api == "" || len(os.Args) > 1 {
		app.Main()
	}
	said := &tail{}
	status := app.Run(context.Background(), os.Args[1:], os.Stdout, io.MultiWriter(os.Stderr, said), os.Environ())
	if status != 0 && !p.began.Load() {
		p.reportInitError(said.String())
	}
	os.Exit(status)
}

// process is the life of a process on Lambda.
type process struct {
	api   string      // address of the Runtime API
	began atomic.Bool // the initialization is over
}

// drainTime is how long invocations have to end after SIGTERM. On Lambda SIGKILL comes half a
// second after SIGTERM.
const drainTime = 5 * time.Second

// serve answers invocations until SIGTERM.
func (p *process) serve(ctx context.Context, d *program.Deployment) error {
	h, err := handler(d)
	if err != nil {
		return err
	}
	if p.api == "" {
		return fmt.Errorf("%w: %s is not set: this command is for AWS Lambda, which sets it", functions.ErrConfig, runtimeAPI)
	}
	work, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stop(nil)
	var busy atomic.Int64
	answer := func(ctx context.Context, event json.RawMessage) (any, error) {
		busy.Add(1)
		defer busy.Add(-1)
		return h(ctx, event)
	}
	d.Log.LogAttrs(ctx, slog.LevelDebug, "function is ready", slog.String("function", d.Function),
		slog.Any("kinds", d.Runtime.Registry().Kinds()))
	p.began.Store(true)
	// It never returns. Without the option, Lambda would send no SIGTERM.
	go awslambda.StartWithOptions(answer, awslambda.WithContext(work), awslambda.WithEnableSIGTERM())
	<-ctx.Done()
	d.Runtime.Drain()
	stop(functions.ErrShutdown)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(drainTime); busy.Load() > 0 && time.Now().Before(end); {
		<-tick.C
	}
	return nil
}

// reportInitError tells Lambda why the initialization failed, so that callers of the function read
// it. The log has it too.
func (p *process) reportInitError(reason string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	body, err := json.Marshal(map[string]string{"errorType": "Piecework.Init", "errorMessage": reason})
	if err != nil {
		return
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+p.api+"/2018-06-01/runtime/init/error", bytes.NewReader(body))
	if err != nil {
		return
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Lambda-Runtime-Function-Error-Type", "Piecework.Init")
	if answer, err := http.DefaultClient.Do(r); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "the reason could not be reported to Lambda:", err)
	} else {
		_ = answer.Body.Close()
	}
}

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

// Write implements io.Writer.
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

// String returns what was kept.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.ToValidUTF8(strings.TrimSpace(string(t.text)), "")
}
