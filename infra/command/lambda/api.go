package lambda

import (
	"errors"
	"net/http"

	"github.com/piecework/piecework/functions/httpapi"
	"github.com/piecework/piecework/functions/lambda"
	"github.com/piecework/piecework/infra/command"
)

// api makes the handler of the HTTP API.
func api(d *command.Deployment) (lambda.Handler, error) {
	tokens, err := readTokens(d.Getenv)
	if err != nil {
		return nil, err
	}
	stream, err := streams(d.Getenv)
	if err != nil {
		return nil, err
	}
	h, err := httpapi.New(d.Runtime, &httpapi.Options{
		Tokens: tokens, Authenticate: byIAM, Version: d.Getenv("AWS_LAMBDA_FUNCTION_VERSION"), Log: d.Log,
	})
	if err != nil {
		return nil, err
	}
	if stream {
		return lambda.Stream(h)
	}
	return lambda.HTTP(h)
}

// readTokens reads who may use the HTTP API.
func readTokens(getenv func(string) string) ([]httpapi.Token, error) {
	return httpapi.ReadTokens(envTokens, getenv(envTokens), getenv(envTokenFile))
}

// errWho tells somebody whom nobody knows what to do.
var errWho = errors.New("nobody has said who you are: send Authorization: Bearer TOKEN with one of this function's tokens " +
	"(its variable " + envTokens + "), or let IAM check who calls: set the function URL's type to AWS_IAM and sign the request")

// byIAM lets those do everything whom IAM has let in.
func byIAM(r *http.Request) (string, httpapi.Role, error) {
	caller, ok := lambda.CallerOf(r.Context())
	if !ok {
		return "", "", errWho
	}
	return caller.ARN, httpapi.Operator, nil
}
