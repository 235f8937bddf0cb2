package program

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/httpapi"
)

// Variable is an environment variable that a program of this project reads.
type Variable struct {
	Name    string
	Default string // "": none
	Doc     string
	Readers string // which commands read it; "all" means the commands of this package

	set func(e *Environment, value string) error // nil: read with Environment.Getenv, or by another program
}

// The programs and commands that read variables, as Variable.Readers has them.
const (
	readByAll  = "all"
	readByCLI  = "piecework, the command line tool"
	readByJobs = "worker, serve, lambda"
)

// Variables lists every environment variable of the project, except the switches of its tests.
func Variables() []Variable { return slices.Clone(variables) }

var variables = []Variable{
	{"PIECEWORK_STORE", "", "URL of the store, such as dynamodb://TABLE?region=REGION or postgres://USER@HOST/DATABASE", readByAll,
		text(func(e *Environment) *string { return &e.Store })},
	{"PIECEWORK_QUEUES", "", "URL of the queues, with {queue} for a queue's name, such as jetstream://HOST:4222/piecework.{queue}; not set: they are in the store, if it is PostgreSQL or SQLite", readByAll,
		text(func(e *Environment) *string { return &e.Queues })},
	{"PIECEWORK_BLOBS", "", "URL of the bucket, such as s3://BUCKET?region=REGION or file:///PATH; not set: a folder beside SQLite's file, or for PostgreSQL one below .piecework in the home directory", readByAll,
		text(func(e *Environment) *string { return &e.Blobs })},

	{"PIECEWORK_LEASE", "1m", "how long a claim holds a job without a heartbeat", readByAll,
		duration(func(e *Environment) *time.Duration { return &e.Timing.Lease })},
	{"PIECEWORK_GRACE", "2m", "how long a message may take before sweep sends another", readByAll,
		duration(func(e *Environment) *time.Duration { return &e.Timing.Grace })},
	{"PIECEWORK_MAX_GRACE", "1h", "the longest that the grace grows to by doubling", readByAll,
		duration(func(e *Environment) *time.Duration { return &e.Timing.MaxGrace })},
	{"PIECEWORK_SKEW", "2s", "how far the clocks of the processes may differ", readByAll,
		duration(func(e *Environment) *time.Duration { return &e.Timing.Skew })},
	{envMargin, "5s", "how long before the platform ends an invocation its jobs are told to end", readByAll,
		duration(func(e *Environment) *time.Duration { return &e.Margin })},

	{"PIECEWORK_CONCURRENCY", "100", "how many jobs run at once in this process; lambda, not set: all messages of an event", readByJobs,
		func(e *Environment, v string) (err error) { e.Concurrency, err = number(v, 1, 10_000); return err }},
	{"PIECEWORK_SUBMIT", "false", "true: the worker also makes jobs of the messages of the queue \"submit\"", "worker, doctor",
		boolean(func(e *Environment) *bool { return &e.Submit })},
	{"PIECEWORK_LOG", "info", "what to log: debug, info, warn or error", readByJobs,
		func(e *Environment, v string) error {
			levels := []string{"debug", "info", "warn", "error"}
			if !slices.Contains(levels, v) {
				return errors.New(functions.UnknownName("log level", v, levels))
			}
			return e.level.UnmarshalText([]byte(v))
		}},
	{"PIECEWORK_PROBE_QUEUE", "", "a queue that no worker pulls from, for the doctor; not set: it tries the queues of the jobs", "doctor",
		func(e *Environment, v string) error {
			if e.ProbeQueue = v; v == functions.SubmitQueue {
				return errors.New("every message of that queue becomes a job: name another")
			}
			return nil
		}},
	{envTimeout, "", "the timeout of the platform's function that runs jobs, such as 15m; serve: how long a request may take, " +
		"from 15s to 1h, some seconds less than the caller waits for an answer, 5m if not set", "serve, lambda, doctor",
		duration(func(e *Environment) *time.Duration { return &e.FunctionTimeout })},
	{envFunction, "", "which function this is: submit, execute, sweep or api", "lambda", func(e *Environment, v string) error {
		if e.Function = v; !slices.Contains(functionNames, v) {
			return errors.New(functions.UnknownName("function", v, functionNames))
		}
		return nil
	}},
	{"PIECEWORK_STREAM", "false", "true: the function api streams its answers; its URL's invoke mode must be RESPONSE_STREAM", "lambda",
		boolean(func(e *Environment) *bool { return &e.Stream })},

	{envAddr, "", "where to listen, as host:port; " + localAddr + " keeps it to this machine; not set: " + envPort + " on all addresses",
		"serve; " + readByCLI, func(e *Environment, v string) error {
			_, port, err := net.SplitHostPort(v)
			if err == nil {
				_, err = strconv.ParseUint(port, 10, 16)
			}
			if err != nil {
				return errors.New("write it as host:port, as in " + localAddr)
			}
			e.addr = v
			return nil
		}},
	{envTokens, "", "who may use the HTTP API: ROLE:TOKEN or ROLE:NAME:TOKEN, separated by commas; roles are reader and operator; " +
		"not set: with serve callers from this machine alone, with lambda those whom IAM lets in", "serve, lambda; " + readByCLI, nil},
	{envTokenFile, "", "a file of such tokens, one a line", "serve, lambda; " + readByCLI, nil},
	{envOrigins, "", "the web pages of other origins that may use the HTTP API from a browser, separated by commas, such as https://console.example.com; " +
		"not set: none", "serve, lambda; " + readByCLI, func(e *Environment, v string) error { e.Origins = list(v); return httpapi.CheckOrigins(e.Origins) }},
	{envAccounts, "", "the service accounts whose tokens are accepted with pushes, separated by commas; on Cloud Run, not set: IAM decides",
		"serve", func(e *Environment, v string) error { e.accounts = list(v); return nil }},
	{envAudience, "", "the audiences that those tokens may have, separated by commas", "serve",
		func(e *Environment, v string) error { e.audiences = list(v); return nil }},

	{"PIECEWORK_URL", "", "the server that commands ask", readByCLI, nil},
	{"PIECEWORK_TOKEN", "", "the token to show it", readByCLI, nil},
	{"PIECEWORK_DIR", "", "the data directory", readByCLI, nil},

	{envPort, "8080", "the port to listen on, on all addresses; set by Cloud Run", "serve",
		func(e *Environment, v string) (err error) { e.port, err = number(v, 1, 65535); return err }},
	{envService, "", "set by Cloud Run and Knative, for services: without a command, serve", "serve", nil},
	{"K_REVISION", "", "set by Cloud Run and Knative, for services: part of the worker's name in records", readByJobs, onGoogle},
	{"CLOUD_RUN_WORKER_POOL", "", "set by Cloud Run, for worker pools: part of the worker's name in records", readByJobs, onGoogle},
	{"AWS_LAMBDA_RUNTIME_API", "", "set by Lambda: without a command, lambda", "lambda", nil},
	{"AWS_LAMBDA_LOG_STREAM_NAME", "", "set by Lambda: the worker's name in records", "lambda",
		text(func(e *Environment) *string { return &e.worker })},
}

// functionNames are the values of PIECEWORK_FUNCTION.
var functionNames = []string{"submit", "execute", "sweep", "api"}

// The names that occur in errors and help.
const (
	envFunction  = "PIECEWORK_FUNCTION"
	envAddr      = "PIECEWORK_ADDR"
	envTokens    = "PIECEWORK_TOKENS"
	envTokenFile = "PIECEWORK_TOKEN_FILE"
	envOrigins   = "PIECEWORK_ORIGINS"
	envAccounts  = "PIECEWORK_PUSH_ACCOUNTS"
	envAudience  = "PIECEWORK_PUSH_AUDIENCE"
	envPort      = "PORT"
	envService   = "K_SERVICE"
	envTimeout   = "PIECEWORK_FUNCTION_TIMEOUT"
	envMargin    = "PIECEWORK_MARGIN"
)

func text(field func(*Environment) *string) func(*Environment, string) error {
	return func(e *Environment, v string) error { *field(e) = v; return nil }
}

func duration(field func(*Environment) *time.Duration) func(*Environment, string) error {
	return func(e *Environment, v string) error {
		d, err := time.ParseDuration(v)
		if err != nil || d <= 0 {
			return errors.New("want a duration such as 90s or 15m")
		}
		*field(e) = d
		return nil
	}
}

func boolean(field func(*Environment) *bool) func(*Environment, string) error {
	return func(e *Environment, v string) error {
		b, err := strconv.ParseBool(v)
		if err != nil {
			return errors.New("want true or false")
		}
		*field(e) = b
		return nil
	}
}

func number(v string, least, most int) (int, error) {
	n, err := strconv.Atoi(v)
	if err != nil || n < least || n > most {
		return 0, fmt.Errorf("want a number from %d to %d", least, most)
	}
	return n, nil
}

// list splits at commas.
func list(text string) []string {
	var all []string
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			all = append(all, part)
		}
	}
	return all
}

// environmentTopic is the page of the help about the variables.
func environmentTopic() *cobra.Command {
	var page strings.Builder
	page.WriteString("The variables, as name=default, each with the commands that read it. PIECEWORK_STORE must be set, and the next two\n" +
		"unless the store settles them. URLs and durations must be the same in all processes of a deployment. A variable that\n" +
		"begins with PIECEWORK_ and is not listed is refused. Credentials are given as the libraries of the services want them.\n")
	for _, v := range variables {
		_, _ = fmt.Fprintf(&page, "\n  %s\n      %s\n      read by: %s", strings.TrimSuffix(v.Name+"="+v.Default, "="), v.Doc, v.Readers)
	}
	return &cobra.Command{Use: "environment", Short: "The environment variables, with their defaults", Long: page.String()}
}
