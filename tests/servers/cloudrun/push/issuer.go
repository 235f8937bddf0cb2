package push

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"time"
)

// Issuer makes tokens as Google does, and is a handler that serves its keys.
type Issuer struct {
	key, unknown *rsa.PrivateKey
	id           string
	Name         string // who it says it is
}

// NewIssuer returns an issuer with a key of its own.
func NewIssuer(name string) (*Issuer, error) {
	i := &Issuer{id: "key-1", Name: name}
	var err error
	if i.key, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		return nil, err
	}
	i.unknown, err = rsa.GenerateKey(rand.Reader, 2048)
	return i, err
}

var encode = base64.RawURLEncoding.EncodeToString

// ServeHTTP serves the keys.
func (i *Issuer) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "public, max-age=300, must-revalidate")
	_, _ = fmt.Fprintf(w, `{"keys":[{"kty":"RSA","alg":"RS256","use":"sig","kid":%q,"n":%q,"e":%q}]}`, // the client may have gone
		i.id, encode(i.key.N.Bytes()), encode(big.NewInt(int64(i.key.E)).Bytes()))
}

// claims are the claims of a good token.
func (i *Issuer) claims(account, audience string) map[string]any {
	now := time.Now()
	return map[string]any{
		"iss": i.Name, "aud": audience, "azp": "113774264463038321964", "sub": "113774264463038321964",
		"email": account, "email_verified": true, "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}
}

// Token makes a good token.
func (i *Issuer) Token(account, audience string) (string, error) {
	return sign(i.key, "RS256", i.id, i.claims(account, audience))
}

// Forged is a token that must be refused, and with which status.
type Forged struct {
	Name   string
	Token  string
	Status int
}

// Forge makes tokens that are not good, each for another reason.
func (i *Issuer) Forge(account, audience string) ([]Forged, error) {
	with := func(changes map[string]any) map[string]any {
		claims := i.claims(account, audience)
		maps.Copy(claims, changes)
		return claims
	}
	past := time.Now().Add(-2 * time.Hour)
	var forged []Forged
	for _, f := range []struct {
		name, alg, id string
		key           *rsa.PrivateKey
		claims        map[string]any
		status        int
	}{
		{"expired", "RS256", i.id, i.key, with(map[string]any{"iat": past.Unix(), "exp": past.Add(time.Hour).Unix()}), http.StatusUnauthorized},
		{"wrong audience", "RS256", i.id, i.key, with(map[string]any{"aud": "https://elsewhere.example"}), http.StatusUnauthorized},
		{"wrong issuer", "RS256", i.id, i.key, with(map[string]any{"iss": "https://evil.example"}), http.StatusUnauthorized},
		{"wrong account", "RS256", i.id, i.key, with(map[string]any{"email": "somebody@elsewhere.iam.gserviceaccount.com"}), http.StatusForbidden},
		{"unverified account", "RS256", i.id, i.key, with(map[string]any{"email_verified": false}), http.StatusForbidden},
		{"wrong key", "RS256", i.id, i.unknown, with(nil), http.StatusUnauthorized},
		{"unknown key", "RS256", "key-2", i.unknown, with(nil), http.StatusUnauthorized},
		{"alg none", "none", i.id, nil, with(nil), http.StatusUnauthorized},
	} {
		token, err := sign(f.key, f.alg, f.id, f.claims)
		if err != nil {
			return nil, err
		}
		forged = append(forged, Forged{f.name, token, f.status})
	}
	good, err := i.Token(account, audience)
	if err != nil {
		return nil, err
	}
	return append(forged, Forged{"no token", "", http.StatusUnauthorized}, Forged{"cut off", good[:len(good)-40], http.StatusUnauthorized}), nil
}

// sign makes a token; without a key, one without a signature.
func sign(key *rsa.PrivateKey, alg, id string, claims map[string]any) (string, error) {
	header, err := json.Marshal(map[string]string{"alg": alg, "kid": id, "typ": "JWT"})
	if err != nil {
		return "", err
	}
	body, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	text := encode(header) + "." + encode(body)
	if key == nil {
		return text + ".", nil
	}
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		return "", fmt.Errorf("sign: %w", err)
	}
	return text + "." + encode(signature), nil
}
