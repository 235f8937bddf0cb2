package lambda

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/lambda"
	"github.com/piecework/piecework/infra/command"
	"github.com/piecework/piecework/infra/drivers"
)

// The variables that are read here.
const (
	envFunction    = "PIECEWORK_FUNCTION"
	envStream      = "PIECEWORK_STREAM"
	envTokens      = "PIECEWORK_TOKENS"
	envTokenFile   = "PIECEWORK_TOKEN_FILE"
	envConcurrency = "PIECEWORK_CONCURRENCY"
)

// choose makes the handler of the function that the environment names.
func choose(d *command.Deployment) (lambda.Handler, error) {
	opts := &lambda.Options{QueueName: laneOf(d.Config.Queues), Log: d.Log, Hide: hide(d.Lanes)}
	if d.Getenv(envConcurrency) != "" {
		opts.Concurrency = d.Concurrency
	}
	name := d.Getenv(envFunction)
	switch name {
	case "submit":
		return lambda.Submit(d.Runtime, opts)
	case "execute":
		return lambda.Execute(d.Runtime, opts)
	case "sweep":
		return lambda.Sweep(d.Runtime, opts)
	case "api":
		return api(d)
	default:
		return nil, checkFunction(name)
	}
}

// check says what is wrong with the environment, as far as that can be seen before anything that it names is opened.
func check(e command.Environment) error {
	name := e.Getenv(envFunction)
	errs := []error{checkFunction(name)}
	switch name {
	case "execute":
		_, err := e.FunctionTimeout()
		errs = append(errs, err)
	case "api":
		_, err := readTokens(e.Getenv)
		_, err2 := streams(e.Getenv)
		errs = append(errs, err, err2)
	}
	return errors.Join(errs...)
}

// checkFunction refuses a name that is not one of a function.
func checkFunction(name string) error {
	names := []string{"submit", "execute", "sweep", "api"}
	switch {
	case name == "":
		return fmt.Errorf("%w: %s is not set: it is which function this is: %s", functions.ErrConfig, envFunction, strings.Join(names, ", "))
	case !slices.Contains(names, name):
		return fmt.Errorf("%w: %s: %s", functions.ErrConfig, envFunction, functions.UnknownName("function", name, names))
	}
	return nil
}

// streams reads whether the HTTP API streams its answers.
func streams(getenv func(string) string) (bool, error) {
	value := getenv(envStream)
	if value == "" {
		return false, nil
	}
	stream, err := strconv.ParseBool(value)
	if err != nil {
		return false, fmt.Errorf("%w: %s=%q: %w", functions.ErrConfig, envStream, value, errors.New("want true or false"))
	}
	return stream, nil
}

// laneOf returns what finds the lane in a queue's ARN: the part of the queue's name that stands for "{queue}" in the
// template of the queues' URLs. A name that does not fit the template is the lane itself.
func laneOf(template string) func(arn string) string {
	var around [][2]string // what stands before and behind the lane in a name
	for _, name := range strings.FieldsFunc(template, func(r rune) bool { return strings.ContainsRune("/:?&=#", r) }) {
		if before, behind, ok := strings.Cut(name, drivers.Lane); ok && !slices.Contains(around, [2]string{before, behind}) {
			around = append(around, [2]string{before, behind})
		}
	}
	return func(arn string) string {
		name := strings.TrimSuffix(arn[strings.LastIndexByte(arn, ':')+1:], ".fifo")
		for _, a := range around {
			if rest, ok := strings.CutPrefix(name, a[0]); ok {
				if lane, ok := strings.CutSuffix(rest, a[1]); ok && lane != "" {
					return lane
				}
			}
		}
		return name
	}
}
