package httpapi

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/httpapi/wire"
	"github.com/piecework/piecework/functions/internal/guard"
	"github.com/piecework/piecework/functions/internal/loopback"
	"github.com/piecework/piecework/functions/internal/suggest"
)

// Role is what the holder of a token may do.
type Role string

// The roles.
const (
	Reader   Role = "reader"   // may look at everything
	Operator Role = "operator" // may also submit, cancel, retry, release and sweep
)

// Token lets its holder use the API.
type Token struct {
	Value string // what the holder sends: at least 16 letters, digits and the like
	Role  Role
	Name  string // whose it is, for the log
}

// minToken is the shortest token: what is shorter can be guessed.
const minToken = 16

// secret is a token as the server keeps it: its hash, so that comparing takes the same time whatever is sent.
type secret struct {
	sum  [sha256.Size]byte
	role Role
	name string
}

func checkTokens(tokens []Token) ([]secret, error) {
	var errs []error
	secrets := make([]secret, 0, len(tokens))
	for i, t := range tokens {
		who := t.Name
		if who == "" {
			who = fmt.Sprintf("number %d", i+1)
		}
		roles := []string{string(Reader), string(Operator)}
		switch {
		case t.Role != Reader && t.Role != Operator:
			errs = append(errs, fmt.Errorf("token %s: %s", who, suggest.Unknown("role", string(t.Role), roles)))
		case len(t.Value) < minToken:
			errs = append(errs, fmt.Errorf("token %s: it has %d characters, need at least %d", who, len(t.Value), minToken))
		case strings.ContainsFunc(t.Value, func(r rune) bool { return r <= ' ' || r > '~' }):
			errs = append(errs, fmt.Errorf("token %s: it may have ASCII letters, digits and signs only, and no spaces", who))
		}
		s := secret{sha256.Sum256([]byte(t.Value)), t.Role, who}
		for _, other := range secrets {
			if other.sum == s.sum {
				errs = append(errs, fmt.Errorf("tokens %s and %s are the same", other.name, who))
			}
		}
		secrets = append(secrets, s)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("%w: %w", functions.ErrConfig, err)
	}
	return secrets, nil
}

// find returns the token that was sent. It compares with all of them, so that the time tells nothing.
func (a *API) find(value string) (secret, bool) {
	sum := sha256.Sum256([]byte(value))
	var found secret
	var ok bool
	for _, s := range a.tokens {
		if subtle.ConstantTimeCompare(s.sum[:], sum[:]) == 1 {
			found, ok = s, true
		}
	}
	return found, ok
}

// everybody are the routes that need no token.
var everybody = map[string]bool{"": true, "/": true, "/v1/health": true, "/openapi.json": true, "/openapi.yaml": true, "/docs": true}

// authorize says who asks, or refuses.
func (a *API) authorize(w http.ResponseWriter, r *http.Request) (string, *wire.Problem) {
	if err := a.origin.Check(r); err != nil {
		return "", wire.NewProblem(http.StatusForbidden, "a web page of another origin may not use this API from a browser")
	}
	if a.open() {
		return "", withoutTokens.Check(r, a.opts.Origins...)
	}
	if everybody[r.URL.Path] {
		return "", nil
	}
	scheme, value, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") && a.opts.Authenticate != nil {
		return a.authenticate(w, r)
	}
	if scheme == "" {
		w.Header().Set("WWW-Authenticate", challenge)
		return "", wire.NewProblem(http.StatusUnauthorized, "this server wants a token; send the header Authorization: Bearer TOKEN")
	}
	s, ok := a.find(strings.TrimSpace(value))
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		w.Header().Set("WWW-Authenticate", challenge+`, error="invalid_token"`)
		return "", wire.NewProblem(http.StatusUnauthorized, "the token is not known to this server; send Authorization: Bearer TOKEN with one that is")
	}
	if s.role == Reader && changes(r) {
		w.Header().Set("WWW-Authenticate", challenge+`, error="insufficient_scope", scope="operator"`)
		return s.name, wire.NewProblem(http.StatusForbidden, "a reader's token may look but not change anything; this needs an operator's")
	}
	return s.name, nil
}

const challenge = `Bearer realm="piecework"`

// changes reports whether a request may change something.
func changes(r *http.Request) bool { return r.Method != http.MethodGet && r.Method != http.MethodHead }

// authenticate lets the platform say who asks.
func (a *API) authenticate(w http.ResponseWriter, r *http.Request) (string, *wire.Problem) {
	var who string
	var role Role
	err := guard.Call(func() (err error) {
		who, role, err = a.opts.Authenticate(r)
		return err
	})
	_, panicked := errors.AsType[*guard.Panic](err)
	switch {
	case panicked, errors.Is(err, guard.ErrGoexit):
		a.opts.Log.LogAttrs(r.Context(), slog.LevelError, "Authenticate failed", slog.Any("error", err), slog.String("stack", guard.StackOf(err)))
		return "", internal(r.Context())
	case err == nil && role == Operator, err == nil && role == Reader && !changes(r):
		return who, nil
	case err == nil:
		return who, wire.NewProblem(http.StatusForbidden, "a reader may look but not change anything; this needs an operator")
	case len(a.tokens) > 0:
		w.Header().Set("WWW-Authenticate", challenge)
		return "", wire.NewProblem(http.StatusUnauthorized, err.Error())
	}
	return "", wire.NewProblem(http.StatusForbidden, err.Error())
}

// withoutTokens is what holds for a server that everybody on this machine may use.
var withoutTokens = loopback.Rule{
	Form: "as in 127.0.0.1:7433",
	Listen: "without tokens the server listens on 127.0.0.1, [::1] or localhost only, " +
		"because everybody who reaches it may do everything; give it tokens to listen elsewhere",
	From: "this server has no tokens, so it answers to this machine only; start it with tokens to use it from elsewhere",
	Name: "this server has no tokens, so it",
}
