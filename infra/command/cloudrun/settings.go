package cloudrun

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/cloudrun"
	"github.com/piecework/piecework/functions/httpapi"
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
	envMargin    = "PIECEWORK_MARGIN"
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

// readSettings reads the environment, or says all that is wrong with it. Nothing needs to be open for that.
func readSettings(getenv func(string) string, margin time.Duration) (settings, error) {
	s := settings{callers: cloudrun.Callers{Accounts: list(getenv(envAccounts)), Audiences: list(getenv(envAudience))}}
	if len(s.callers.Accounts) == 0 && getenv(envService) != "" {
		s.callers = cloudrun.Callers{Platform: true} // it has an audience of its own
	}
	errs := make([]error, 3)
	s.addr, errs[0] = readAddr(getenv)
	s.timeout, errs[1] = readTimeout(getenv(envTimeout), margin)
	s.tokens, errs[2] = httpapi.ReadTokens(envTokens, getenv(envTokens), getenv(envTokenFile))
	return s, errors.Join(errs...)
}

// readAddr reads where to listen.
func readAddr(getenv func(string) string) (string, error) {
	if addr := getenv(envAddr); addr != "" {
		_, port, err := net.SplitHostPort(addr)
		if err == nil {
			_, err = strconv.ParseUint(port, 10, 16)
		}
		if err != nil {
			return "", fmt.Errorf("%w: %s=%q: write it as host:port, as in %s", functions.ErrConfig, envAddr, addr, local)
		}
		return addr, nil
	}
	port := cmp.Or(getenv(envPort), "8080")
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", fmt.Errorf("%w: %s=%q: want a number from 1 to 65535", functions.ErrConfig, envPort, port)
	}
	return ":" + port, nil
}

// readTimeout reads how long a request may take.
func readTimeout(text string, margin time.Duration) (time.Duration, error) {
	text = cmp.Or(text, usualTimeout.String())
	least := cloudrun.MinTimeout(margin)
	d, err := time.ParseDuration(text)
	if err != nil || d < least || d > cloudrun.MaxTimeout {
		return 0, fmt.Errorf("%w: %s=%q: want a duration from %v to %v, a little less than the service's request timeout; the least is three times %s",
			functions.ErrConfig, envTimeout, text, least, cloudrun.MaxTimeout, envMargin)
	}
	return d, nil
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
