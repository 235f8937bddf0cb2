package cloudrun

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/piecework/piecework/functions/httpapi/wire"
)

// algorithms are the ones that Google signs with. A token that names another, or none, is refused
// unread.
var algorithms = []jose.SignatureAlgorithm{jose.RS256, jose.ES256}

// removed replaces the signature of a token that Cloud Run has checked.
const removed = ".SIGNATURE_REMOVED_BY_GOOGLE"

// claims are what a token says.
type claims struct {
	jwt.Claims

	Email    string `json:"email"`
	Verified bool   `json:"email_verified"`
}

// verifier checks tokens.
type verifier struct {
	callers Callers
	keys    *keySet
}

// check refuses a request without a valid token of one of the accounts.
func (v *verifier) check(w http.ResponseWriter, r *http.Request) *wire.Problem {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	challenge := `Bearer realm="piecework"`
	if scheme == "" {
		w.Header().Set("WWW-Authenticate", challenge)
		return wire.NewProblem(http.StatusUnauthorized, "there is no token: have the push subscription, trigger or scheduler send an OpenID Connect token")
	}
	err := errors.New("want Authorization: Bearer TOKEN")
	var c claims
	if strings.EqualFold(scheme, "Bearer") {
		c, err = v.verify(r.Context(), strings.TrimSpace(token))
	}
	switch {
	case errors.Is(err, errKeys):
		p := wire.NewProblem(http.StatusServiceUnavailable, err.Error())
		p.RetryAfter = int(tryAgain.Seconds())
		return p
	case err != nil:
		w.Header().Set("WWW-Authenticate", challenge+`, error="invalid_token"`)
		return wire.NewProblem(http.StatusUnauthorized, "the token is not valid: "+err.Error())
	case !c.Verified || !slices.Contains(v.callers.Accounts, c.Email):
		return wire.NewProblem(http.StatusForbidden, fmt.Sprintf("the token is of account %.200q (verified: %t), which may not call",
			c.Email, c.Verified))
	}
	return nil
}

// verify reads a token and checks who made it, for whom, and that it is in force. Without the
// issuer's keys it is errKeys.
func (v *verifier) verify(ctx context.Context, token string) (claims, error) {
	var c claims
	if strings.HasSuffix(token, removed) {
		return c, errors.New("its signature is missing because Cloud Run has checked it, so it cannot be checked again: " +
			"either allow unauthenticated calls of the service, or set no accounts here and leave the check to Cloud Run")
	}
	t, err := jwt.ParseSigned(token, algorithms)
	if err != nil {
		return c, err
	}
	if len(t.Headers) != 1 || t.Headers[0].KeyID == "" {
		return c, errors.New("it does not name its key")
	}
	keys, err := v.keys.find(ctx, t.Headers[0].KeyID)
	if err != nil {
		return c, err
	}
	err = errors.New("the issuer has no key of its name")
	for _, key := range keys {
		if err = t.Claims(key, &c); errors.Is(err, jose.ErrCryptoFailure) {
			err = errors.New("its signature does not match its key")
		}
		if err == nil {
			break
		}
	}
	if err != nil {
		return claims{}, err
	}
	if c.Expiry == nil {
		return claims{}, errors.New("it does not say when it expires")
	}
	err = c.ValidateWithLeeway(jwt.Expected{
		Issuer: v.callers.Issuer, AnyAudience: v.callers.Audiences, Time: v.keys.now(),
	}, v.callers.Leeway)
	if err != nil {
		return claims{}, v.explain(err, c)
	}
	return c, nil
}

// explain says what a claim should be.
func (v *verifier) explain(err error, c claims) error {
	switch {
	case errors.Is(err, jwt.ErrInvalidAudience):
		return fmt.Errorf("it is for the audience %.200q, not for %q", []string(c.Audience), v.callers.Audiences)
	case errors.Is(err, jwt.ErrInvalidIssuer):
		return fmt.Errorf("its issuer is %.200q, not %q", c.Issuer, v.callers.Issuer)
	case errors.Is(err, jwt.ErrExpired):
		return fmt.Errorf("it has expired, on %v", c.Expiry.Time().UTC())
	case errors.Is(err, jwt.ErrNotValidYet):
		return fmt.Errorf("it is not valid before %v", c.NotBefore.Time().UTC())
	case errors.Is(err, jwt.ErrIssuedInTheFuture):
		return fmt.Errorf("it was issued in the future, on %v", c.IssuedAt.Time().UTC())
	}
	return err
}
