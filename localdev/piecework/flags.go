package main

import (
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/piecework/piecework/functions"
)

// unknownFlag names the flag that was meant, or says what a flag wants.
func unknownFlag(cmd *cobra.Command, err error) error {
	if wrong, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		want := map[string]string{"int": "a number", "duration": "a duration, as in 90s or 1h30m", "bool": "true or false"}[wrong.GetFlag().Value.Type()]
		return usage("--%s %q: want %s", wrong.GetFlag().Name, wrong.GetValue(), want)
	}
	missing, ok := errors.AsType[*pflag.NotExistError](err)
	if !ok {
		return usage("%w\nSee: %s --help", err, cmd.CommandPath())
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	name := strings.TrimLeft(missing.GetSpecifiedName(), "-")
	near := sameMeaning(name, names)
	if near == "" {
		near = functions.NearestName(name, names)
	}
	if near != "" && len(name) > 1 {
		return usage("unknown flag --%s; did you mean --%s?", name, near)
	}
	return usage("%w\nSee: %s --help", err, cmd.CommandPath())
}

// synonyms are names that other tools, or the API and the options of package functions, have for
// what a flag here does. Names that are merely misspelt need no entry.
var synonyms = []struct {
	flag  string
	names []string
}{
	{"in", []string{"after", "delay", "delayed"}},
	{"at", []string{"when", "start", "start-at", "scheduled", "schedule", "not-before", "time"}},
	{"max-attempts", []string{"retries", "max-retries", "retry", "tries"}},
	{"time-limit", []string{"limit", "max-time", "max-runtime", "attempt-timeout"}},
	{"deadline", []string{"expires", "expire", "by"}},
	{"retention", []string{"ttl", "keep"}},
	{"key", []string{"id", "idempotency-key", "idempotency", "dedup", "unique"}},
	{"tag", []string{"label", "labels"}},
	{"held", []string{"pause", "paused"}},
	{"wait", []string{"follow", "watch", "sync", "block"}},
	{"state", []string{"status", "states"}},
	{"since", []string{"after", "newer", "created-from"}},
	{"before", []string{"until", "older", "created-before"}},
	{"kind", []string{"type", "name", "job"}},
	{"limit", []string{"count", "max", "page-size", "top"}},
	{"cursor", []string{"page", "from", "next", "continue", "offset"}},
	{"reason", []string{"why", "message"}},
	{"output", []string{"out", "file", "to"}},
	{"url", []string{"server", "host", "endpoint", "api"}},
	{"token", []string{"auth", "password", "bearer"}},
	{"addr", []string{"port", "listen", "bind", "host", "url"}},
	{"dir", []string{"data", "data-dir", "directory", "path"}},
	{"store", []string{"db", "database"}},
	{"blobs", []string{"bucket", "files", "storage"}},
	{"concurrency", []string{"workers", "parallel", "jobs", "threads"}},
	{"log", []string{"verbose", "debug", "level", "log-level"}},
	{"repair", []string{"fix"}},
	{"yes", []string{"force", "confirm"}},
	{"for", []string{"timeout", "duration"}},
}

// sameMeaning returns the flag of a command that name is another word for, or "".
func sameMeaning(name string, flags []string) string {
	for _, s := range synonyms {
		if slices.Contains(s.names, name) && slices.Contains(flags, s.flag) {
			return s.flag
		}
	}
	return ""
}
