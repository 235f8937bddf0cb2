package cloudrun

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/cloudrun"
	"github.com/piecework/piecework/functions/httpapi"
	"github.com/piecework/piecework/infra/command"
)

// The variables that are read here.
const (
	envPort      = "PORT"      // set by the platform
	envService   = "K_SERVICE" // set by Cloud Run and Knative
	envAddr      = "PIECEWORK_ADDR"
	envAccounts  = "PIECEWORK_PUSH_ACCOUNTS"
	envAudience  = "PIECEWORK_PUSH_AUDIENCE"
	envTokens    = "PIECEWORK_TOKENS"
	envTokenFile = "PIECEWORK_TOKEN_FILE"
	envTimeout   = "PIECEWORK_FUNCTION_TIMEOUT"
)

// local is an address that no other machine reaches, for advice.
const local = "127.0.0.1:8080"

// usualTimeout is Cloud Run's.
const usualTimeout = 5 * time.Minute

// settings are what the environment says about serving.
type settings struct {
	addr    string
	timeout time.Duration
	callers cloudrun.Callers
	tokens  []httpapi.Token
}

// readSettings reads the environment, or says all that is wrong with it.
func readSettings(d *command.Deployment) (settings, error) {
	s := settings{addr: d.Getenv(envAddr), timeout: usualTimeout, callers: cloudrun.Callers{
		Accounts: list(d.Getenv(envAccounts)), Audiences: list(d.Getenv(envAudience)),
	}}
	var errs []error
	if s.addr == "" {
		port := d.Getenv(envPort)
		if port == "" {
			port = "8080"
		}
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			errs = append(errs, fmt.Errorf("%w: %s=%q: want a number from 1 to 65535", functions.ErrConfig, envPort, port))
		}
		s.addr = ":" + port
	}
	if text := d.Getenv(envTimeout); text != "" {
		least := cloudrun.MinTimeout(d.Runtime)
		var err error
		if s.timeout, err = time.ParseDuration(text); err != nil || s.timeout < least || s.timeout > cloudrun.MaxTimeout {
			errs = append(errs, fmt.Errorf("%w: %s=%q: want a duration from %v to %v, a little less than the service's request timeout", functions.ErrConfig, envTimeout, text, least, cloudrun.MaxTimeout))
		}
	}
	if len(s.callers.Accounts) == 0 && d.Getenv(envService) != "" {
		s.callers = cloudrun.Callers{Platform: true} // it has an audience of its own
	}
	var err error
	if s.tokens, err = httpapi.ReadTokens(envTokens, d.Getenv(envTokens), d.Getenv(envTokenFile)); err != nil {
		errs = append(errs, err)
	}
	return s, errors.Join(errs...)
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

// lookup returns a variable of an environment; the last of a name counts, as with command.Deployment.
func lookup(environ []string, name string) string {
	for _, line := range slices.Backward(environ) {
		if n, value, ok := strings.Cut(line, "="); ok && n == name {
			return value
		}
	}
	return ""
}
