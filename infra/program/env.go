package program

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/httpapi"
	"github.com/piecework/piecework/infra/drivers"
)

// Environment is what the environment variables of a process say. [Variables] lists them.
type Environment struct {
	drivers.Config

	Concurrency     int           // how many jobs run at once
	Submit          bool          // a worker also makes jobs of the messages of the submit queue
	ProbeQueue      string        // the queue that the doctor may use; "": none
	FunctionTimeout time.Duration // of the function that runs jobs; 0: not known
	Function        string        // which function on Lambda this is
	Stream          bool          // the function api streams its answers
	Origins         []string      // that may use the HTTP API from a browser

	addr                string // where serve listens; "": on port, on all addresses
	port                int
	accounts, audiences []string
	level               slog.Level
	worker              string // the name of this process in the records; "": the default of functions
	google              bool   // Cloud Logging reads the log
	lines               []string
	malformed           bool // some values could not be read
}

// The prefix of the project's variables, and the prefixes of the switches of its tests.
const (
	envPrefix     = "PIECEWORK_"
	testPrefix    = envPrefix + "TEST_"
	requirePrefix = envPrefix + "REQUIRE_"
)

// ReadEnvironment reads an environment, which is os.Environ() or like it. An unset or empty
// variable has its default. The error, a functions.ErrConfig, names everything that is wrong; the
// Environment then has what could be read. A variable that begins with PIECEWORK_ and is not in the
// table is an error: a misspelt one would be ignored.
func ReadEnvironment(environ []string) (Environment, error) {
	e := Environment{lines: environ}
	var errs []error
	for _, v := range variables {
		if v.set == nil {
			continue
		}
		if v.Default != "" {
			errs = append(errs, v.set(&e, v.Default))
		}
		if value := e.Getenv(v.Name); value != "" {
			if err := v.set(&e, value); err != nil {
				errs = append(errs, fmt.Errorf("%s=%q: %w", v.Name, value, err))
			}
		}
	}
	c := e.WithDefaults()
	for i, field := range []string{c.Store, c.Queues, c.Blobs} {
		if v := variables[i]; field == "" && (i == 0 || e.Store != "") {
			errs = append(errs, fmt.Errorf("%s is not set: it is the %s", v.Name, v.Doc))
		}
	}
	err := errors.Join(append(errs, unknown(environ)...)...)
	if err != nil {
		e.malformed, err = true, fmt.Errorf("%w: %w", functions.ErrConfig, err)
	}
	return e, err
}

// unknown returns an error for each variable that has the project's prefix and is not in the table.
func unknown(environ []string) []error {
	var known []string
	for _, v := range variables {
		known = append(known, v.Name)
	}
	var errs []error
	for _, line := range slices.Sorted(slices.Values(environ)) {
		name, _, _ := strings.Cut(line, "=")
		if strings.HasPrefix(name, envPrefix) && !slices.Contains(known, name) &&
			!strings.HasPrefix(name, testPrefix) && !strings.HasPrefix(name, requirePrefix) {
			errs = append(errs, errors.New(functions.UnknownName("environment variable", name, known)))
		}
	}
	return errs
}

// Getenv returns a variable, "" if it is not set. The last line of a name counts.
func (e Environment) Getenv(name string) string {
	for _, line := range slices.Backward(e.lines) {
		if value, ok := strings.CutPrefix(line, name+"="); ok {
			return value
		}
	}
	return ""
}

// CheckFunctionTimeout returns an error if the timeout of the function leaves jobs no time.
func (e Environment) CheckFunctionTimeout() error {
	if t := e.FunctionTimeout; t > 0 && t <= 2*e.Margin {
		return fmt.Errorf("%w: %s=%q leaves jobs no time: none is started in the last %v before it, which is twice %s; "+
			"raise the function's timeout and the variable, or lower the margin", functions.ErrConfig, envTimeout, e.Getenv(envTimeout), 2*e.Margin, envMargin)
	}
	return nil
}

// CheckFunction returns an error if the environment does not say which function on Lambda this is.
func (e Environment) CheckFunction() error {
	if e.Function == "" {
		return fmt.Errorf("%w: %s is not set: it is which function this is: %s", functions.ErrConfig, envFunction, strings.Join(functionNames, ", "))
	}
	return nil
}

// Tokens reads the tokens of the HTTP API.
func (e Environment) Tokens() ([]httpapi.Token, error) {
	return httpapi.ReadTokens(envTokens, e.Getenv(envTokens), e.Getenv(envTokenFile))
}

// onGoogle names the worker after a revision or worker pool. Host name and process id are
// "localhost" and 1 in all instances on Cloud Run.
func onGoogle(e *Environment, value string) error {
	e.worker, e.google = value+"/"+uuid.NewString()[:8], true
	return nil
}
