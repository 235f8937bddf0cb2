package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/infra/drivers/files"
	"github.com/piecework/piecework/infra/drivers/mem"
	"github.com/piecework/piecework/infra/drivers/sql"
	"github.com/piecework/piecework/localdev"
)

// setting is one configuration value. The command line takes precedence over the environment, and
// the environment over the default.
type setting struct {
	env, flag string
	def       string
	doc       string
}

// settings are all settings, of the server and of the commands that call it.
var settings = []setting{
	{"PIECEWORK_URL", "url", "http://127.0.0.1:7433", "the server that commands call"},
	{"PIECEWORK_TOKEN", "token", "", "the token for the server"},

	{"PIECEWORK_ADDR", "addr", "127.0.0.1:7433", "where to listen; without tokens, on this machine only"},
	{"PIECEWORK_DIR", "dir", localdev.DefaultDir, "the data directory"},
	{"PIECEWORK_STORE", "store", "", "the store's URL: sqlite:///path/to/file, postgres://user@host/db or mem:// (default: a file in the data directory)"},
	{"PIECEWORK_BLOBS", "blobs", "", "the blobs' URL: file:///path/to/folder or mem:// (default: a folder in the data directory)"},
	{"PIECEWORK_CONCURRENCY", "concurrency", "16", "how many jobs run at once"},
	{"PIECEWORK_TOKENS", "tokens", "", "who may use the API: ROLE:TOKEN or ROLE:NAME:TOKEN, separated by commas; roles are reader and operator"},
	{"PIECEWORK_TOKEN_FILE", "token-file", "", "a file with such entries, one a line; # begins a comment"},
	{"PIECEWORK_ORIGINS", "origins", "", "web pages of other origins that may use the API from a browser, as in http://localhost:3000, separated by commas (default: none)"},
	{"PIECEWORK_LOG", "log", "info", "what to log: debug, info, warn or error"},
}

// lookup returns a setting by its flag.
func lookup(flag string) setting {
	i := slices.IndexFunc(settings, func(s setting) bool { return s.flag == flag })
	return settings[i]
}

// value is a setting's value without the command line.
func (c *console) value(flag string) string {
	s := lookup(flag)
	if v, ok := c.Env[s.env]; ok && v != "" {
		return v
	}
	return s.def
}

// help is a setting's text for the list of flags.
func help(flag string) string {
	s := lookup(flag)
	return s.doc + " [$" + s.env + "]"
}

// storeDrivers opens what settings name. It has PostgreSQL, which localdev leaves to its programs.
func storeDrivers() *drivers.Set { return drivers.New(sql.Register, mem.Register, files.Register) }

const envPrefix = "PIECEWORK_"

// foreignPrefixes are prefixes of variables that this program ignores: switches of tests.
var foreignPrefixes = []string{"PIECEWORK_TEST_", "PIECEWORK_REQUIRE_"}

// deploymentVars are variables of deployments. A shell that has them for the doctor may call the
// deployment's API too.
var deploymentVars = []string{
	"PIECEWORK_QUEUES", "PIECEWORK_LEASE", "PIECEWORK_GRACE", "PIECEWORK_MAX_GRACE", "PIECEWORK_SKEW", "PIECEWORK_MARGIN",
	"PIECEWORK_SUBMIT", "PIECEWORK_PROBE_QUEUE", "PIECEWORK_FUNCTION", "PIECEWORK_FUNCTION_TIMEOUT", "PIECEWORK_STREAM",
	"PIECEWORK_PUSH_AUDIENCE", "PIECEWORK_PUSH_ACCOUNTS",
}

// checkEnv refuses unknown variables with the prefix of settings, since a misspelt one would be
// ignored silently. The names in also are allowed too.
func (c *console) checkEnv(also ...string) error {
	known := slices.Clone(also)
	for _, s := range settings {
		known = append(known, s.env)
	}
	var wrong []string
	for name := range c.Env {
		if !strings.HasPrefix(name, envPrefix) || slices.Contains(known, name) ||
			slices.ContainsFunc(foreignPrefixes, func(p string) bool { return strings.HasPrefix(name, p) }) {
			continue
		}
		wrong = append(wrong, functions.UnknownName("environment variable", name, known))
	}
	if len(wrong) == 0 {
		return nil
	}
	slices.Sort(wrong)
	return &statusError{exitUsage, fmt.Errorf("%s", strings.Join(wrong, "\n"))}
}
