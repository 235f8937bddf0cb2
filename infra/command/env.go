package command

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"strings"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/httpapi/wire"
	"github.com/piecework/piecework/infra/drivers"
)

// The variables that are read here and not by package drivers, and those that the doctor's remedies name.
const (
	envConcurrency = "PIECEWORK_CONCURRENCY"
	envSubmit      = "PIECEWORK_SUBMIT"
	envLog         = "PIECEWORK_LOG"
	envProbe       = "PIECEWORK_PROBE_QUEUE"

	envStore  = "PIECEWORK_STORE"
	envQueues = "PIECEWORK_QUEUES"
	envBlobs  = "PIECEWORK_BLOBS"

	envLogStream = "AWS_LAMBDA_LOG_STREAM_NAME" // set by Lambda; where the log of this process is
)

// settings are all that the environment says.
type settings struct {
	drivers.Config

	concurrency int
	submit      bool
	level       slog.Level
	probe       string // the doctor's lane; "" if there is none
	worker      string // the name of this process in the records; "" for functions' default
}

// readEnv reads the environment, or says all that is wrong with it.
func readEnv(environ []string) (settings, error) {
	s := settings{concurrency: 100, level: slog.LevelInfo}
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
			return errors.New(wire.Unknown("log level", value, levels))
		}
		return s.level.UnmarshalText([]byte(value))
	case envLogStream:
		s.worker = value // host and process are the same in all of Lambda's environments
	case envProbe:
		if s.probe = value; value == functions.SubmitQueue {
			return errors.New("every message of that queue becomes a job: name another")
		}
	}
	return nil
}

// logger logs as JSON, one line an event.
func (s *settings) logger(to io.Writer) *slog.Logger {
	return slog.New(slog.NewJSONHandler(to, &slog.HandlerOptions{Level: s.level}))
}
