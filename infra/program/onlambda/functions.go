package onlambda

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/piecework/piecework/functions/httpapi"
	"github.com/piecework/piecework/functions/lambda"
	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/infra/program"
)

// check returns what is wrong with the environment, before anything that it names is opened.
func check(e program.Environment) error {
	errs := []error{e.CheckFunction()}
	switch e.Function {
	case "execute":
		errs = append(errs, e.CheckFunctionTimeout())
	case "api":
		_, err := e.Tokens()
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// handler returns the handler of the function that the environment names.
func handler(d *program.Deployment) (lambda.Handler, error) {
	opts := &lambda.Options{QueueName: queueOf(d.Config.Queues), Log: d.Log, Hide: hide(d.Queues)}
	if d.Getenv("PIECEWORK_CONCURRENCY") != "" {
		opts.Concurrency = d.Concurrency
	}
	switch d.Function {
	case "submit":
		return lambda.Submit(d.Runtime, opts)
	case "execute":
		return lambda.Execute(d.Runtime, opts)
	case "sweep":
		return lambda.Sweep(d.Runtime, opts)
	case "api":
		return api(d)
	default:
		return nil, d.CheckFunction()
	}
}

// api returns the handler of the HTTP API.
func api(d *program.Deployment) (lambda.Handler, error) {
	tokens, err := d.Tokens()
	if err != nil {
		return nil, err
	}
	h, err := httpapi.New(d.Runtime, &httpapi.Options{
		Tokens: tokens, Origins: d.Origins, Authenticate: byIAM, Version: d.Getenv("AWS_LAMBDA_FUNCTION_VERSION"), Log: d.Log,
	})
	if err != nil {
		return nil, err
	}
	if d.Stream {
		return lambda.Stream(h)
	}
	return lambda.HTTP(h)
}

// errUnknownCaller tells a caller without a token what to do.
var errUnknownCaller = errors.New("the caller is not known: send Authorization: Bearer TOKEN with one of this function's tokens " +
	"(its variable PIECEWORK_TOKENS), or let IAM check callers: set the function URL's type to AWS_IAM and sign the request")

// byIAM lets callers that IAM has let in do everything.
func byIAM(r *http.Request) (string, httpapi.Role, error) {
	caller, ok := lambda.CallerOf(r.Context())
	if !ok {
		return "", "", errUnknownCaller
	}
	return caller.ARN, httpapi.Operator, nil
}

// queueOf returns what finds the name of a queue in its ARN: the part that stands for "{queue}" in
// the template of the queues' URLs. A name that does not fit the template is returned whole.
func queueOf(template string) func(arn string) string {
	var around [][2]string // what stands before and after the placeholder in a name
	for _, name := range strings.FieldsFunc(template, func(r rune) bool { return strings.ContainsRune("/:?&=#", r) }) {
		if before, after, ok := strings.Cut(name, drivers.Placeholder); ok && !slices.Contains(around, [2]string{before, after}) {
			around = append(around, [2]string{before, after})
		}
	}
	return func(arn string) string {
		name := strings.TrimSuffix(arn[strings.LastIndexByte(arn, ':')+1:], ".fifo")
		for _, a := range around {
			if rest, ok := strings.CutPrefix(name, a[0]); ok {
				if queue, ok := strings.CutSuffix(rest, a[1]); ok && queue != "" {
					return queue
				}
			}
		}
		return name
	}
}

// hide returns what tells the queues when messages come again that a function gives back, nil if
// they cannot do that.
func hide(queues drivers.Queue) func(context.Context, []lambda.GivenBack) error {
	hider, ok := queues.(drivers.Hider)
	if !ok {
		return nil
	}
	return func(ctx context.Context, back []lambda.GivenBack) error {
		var sources []string // an event has one, but need not
		by := map[string][]drivers.Hidden{}
		for _, b := range back {
			source := b.Message.EventSourceARN
			if by[source] == nil {
				sources = append(sources, source)
			}
			by[source] = append(by[source], drivers.Hidden{Receipt: b.Message.ReceiptHandle, For: b.After})
		}
		var errs []error
		for _, source := range sources {
			errs = append(errs, hider.Hide(ctx, source, by[source]))
		}
		return errors.Join(errs...)
	}
}
