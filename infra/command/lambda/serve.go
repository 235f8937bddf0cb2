package lambda

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	awslambda "github.com/aws/aws-lambda-go/lambda"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/infra/command"
)

// process is the life of a process on Lambda.
type process struct {
	api   string      // address of the Runtime API
	began atomic.Bool // the initialization is over
}

// serve answers invocations until SIGTERM.
func (p *process) serve(ctx context.Context, d *command.Deployment) error {
	h, err := choose(d)
	if err != nil {
		return err
	}
	if p.api == "" {
		return fmt.Errorf("%w: %s is not set: this command is for AWS Lambda, which sets it", functions.ErrConfig, runtimeAPI)
	}
	work, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stop(nil)
	var busy counter
	answer := func(ctx context.Context, event json.RawMessage) (any, error) {
		busy.n.Add(1)
		defer busy.n.Add(-1)
		return h(ctx, event)
	}
	d.Log.LogAttrs(ctx, slog.LevelDebug, "function is ready", slog.String("function", d.Getenv(envFunction)),
		slog.Any("kinds", d.Runtime.Registry().Kinds()))
	p.began.Store(true)
	// It never returns. Without the option, Lambda would send no SIGTERM.
	go awslambda.StartWithOptions(answer, awslambda.WithContext(work), awslambda.WithEnableSIGTERM())
	<-ctx.Done()
	d.Runtime.Drain()
	stop(functions.ErrShutdown)
	busy.wait(drainTime)
	return nil
}

// drainTime is how long invocations have to end after SIGTERM. Lambda's SIGKILL comes half a second after it, so that what
// takes longer has this long elsewhere only.
const drainTime = 5 * time.Second

// counter counts the invocations under way.
type counter struct{ n atomic.Int64 }

// wait waits until there are none, for some time at most.
func (c *counter) wait(most time.Duration) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(most); c.n.Load() > 0 && time.Now().Before(end); {
		<-tick.C
	}
}

// failed tells Lambda why the initialization failed, so that whoever calls the function reads it; the log has it too.
func (p *process) failed(reason string) {
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
		_, _ = fmt.Fprintln(os.Stderr, "the reason could not be told to Lambda:", err)
	} else {
		_ = answer.Body.Close()
	}
}

// getenv reads an environment.
func getenv(environ []string, name string) string {
	for _, line := range environ {
		if value, ok := strings.CutPrefix(line, name+"="); ok {
			return value
		}
	}
	return ""
}
