package command

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/infra/drivers"
)

// The variables that are read here and not by package drivers, and those that the doctor's remedies name.
const (
	envConcurrency = "PIECEWORK_CONCURRENCY"
	envSubmit      = "PIECEWORK_SUBMIT"
	envLog         = "PIECEWORK_LOG"
	envProbe       = "PIECEWORK_PROBE_QUEUE"
	envTimeout     = "PIECEWORK_FUNCTION_TIMEOUT"
	envMargin      = "PIECEWORK_MARGIN"
	envSkew        = "PIECEWORK_SKEW"

	envStore  = "PIECEWORK_STORE"
	envQueues = "PIECEWORK_QUEUES"
	envBlobs  = "PIECEWORK_BLOBS"

	envLogStream = "AWS_LAMBDA_LOG_STREAM_NAME" // set by Lambda; where the log of this process is
	envRevision  = "K_REVISION"                 // set by Cloud Run and Knative, for services
	envPool      = "CLOUD_RUN_WORKER_POOL"      // set by Cloud Run, for worker pools
)

// Environment is what a process was told.
type Environment struct {
	drivers.Config // zero if something is wrong with it

	lines []string
}

// Getenv returns a variable, "" if it is not set. The last line of a name counts.
func (e Environment) Getenv(name string) string {
	for _, line := range slices.Backward(e.lines) {
		if n, value, ok := strings.Cut(line, "="); ok && n == name {
			return value
		}
	}
	return ""
}

// FunctionTimeout is the timeout of the function that runs jobs, 0 if the environment names none. One that leaves jobs no
// time is refused.
func (e Environment) FunctionTimeout() (time.Duration, error) {
	text := e.Getenv(envTimeout)
	if text == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("%w: %s=%q: want a duration such as 15m", functions.ErrConfig, envTimeout, text)
	}
	if d <= 2*e.Margin {
		return 0, fmt.Errorf("%w: %s=%q leaves jobs no time: none is started in the last %v before it, which is twice %s; "+
			"raise the function's timeout and the variable, or lower the margin", functions.ErrConfig, envTimeout, text, 2*e.Margin, envMargin)
	}
	return d, nil
}

// settings are all that the environment says.
type settings struct {
	Environment

	concurrency int
	submit      bool
	level       slog.Level
	probe       string // the doctor's lane; "" if there is none
	worker      string // the name of this process in the records; "" for functions' default
	google      bool   // the log is read by Cloud Logging
}

// readEnv reads the environment, or says all that is wrong with it.
func readEnv(environ []string) (settings, error) {
	s := settings{Environment: Environment{lines: environ}, concurrency: 100, level: slog.LevelInfo}
	config, err := drivers.FromEnv(environ, envConcurrency, envSubmit, envLog, envProbe)
	s.Config = config
	errs := []error{err}
	for _, line := range environ {
		name, value, _ := strings.Cut(line, "=")
		if value == "" {
			continue
		}
		if err := s.set(name, value); err != nil {
			errs = append(errs, fmt.Errorf("%w: %s=%q: %w", functions.ErrConfig, name, value, err))
		}
	}
	return s, errors.Join(errs...)
}

func (s *settings) set(name, value string) error {
	var err error
	switch name {
	case envConcurrency:
		if s.concurrency, err = strconv.Atoi(value); err != nil || s.concurrency < 1 || s.concurrency > 10_000 {
			return errors.New("want a number from 1 to 10000")
		}
	case envSubmit:
		if s.submit, err = strconv.ParseBool(value); err != nil {
			return errors.New("want true or false")
		}
	case envLog:
		levels := []string{"debug", "info", "warn", "error"}
		if !slices.Contains(levels, value) {
			return errors.New(functions.UnknownName("log level", value, levels))
		}
		return s.level.UnmarshalText([]byte(value))
	case envLogStream:
		s.worker = value // host and process are the same in all of Lambda's environments
	case envRevision, envPool: // where host and process are "localhost" and 1 in all instances
		s.worker, s.google = value+"/"+uuid.NewString()[:8], true
	case envProbe:
		if s.probe = value; value == functions.SubmitQueue {
			return errors.New("every message of that queue becomes a job: name another")
		}
	}
	return nil
}

// logger logs as JSON, one line an event.
func (s *settings) logger(to io.Writer) *slog.Logger {
	opts := &slog.HandlerOptions{Level: s.level, ReplaceAttr: functions.ReadableAttr}
	if s.google {
		opts.ReplaceAttr = forCloudLogging
	}
	return slog.New(slog.NewJSONHandler(to, opts))
}

// forCloudLogging gives the level and the message the names by which Cloud Logging knows them.
func forCloudLogging(groups []string, a slog.Attr) slog.Attr {
	a = functions.ReadableAttr(groups, a)
	if len(groups) > 0 {
		return a
	}
	switch a.Key {
	case slog.LevelKey:
		if a.Value.String() == slog.LevelWarn.String() {
			return slog.String("severity", "WARNING")
		}
		a.Key = "severity"
	case slog.MessageKey:
		a.Key = "message"
	}
	return a
}
