package cloudrun_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// issuer makes tokens as Google does, and hands out its keys. It is the fetcher of the keys, so
// that no socket is needed.
type issuer struct {
	t *testing.T

	mu      sync.Mutex
	keys    []map[string]string
	control string // the answer's Cache-Control
	down    bool
	fetched int
}

// key is what a token is signed with.
type key struct {
	id  string
	rsa *rsa.PrivateKey
	ec  *ecdsa.PrivateKey
}

var encode = base64.RawURLEncoding.EncodeToString

// newKey makes a key and publishes it.
func (i *issuer) newKey(id, alg string) *key {
	i.t.Helper()
	k := &key{id: id}
	public := map[string]string{"kid": id, "use": "sig", "alg": alg}
	var err error
	switch alg {
	case "RS256":
		if k.rsa, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
			i.t.Fatal(err)
		}
		public["kty"], public["n"], public["e"] = "RSA", encode(k.rsa.N.Bytes()), encode(big.NewInt(int64(k.rsa.E)).Bytes())
	case "ES256":
		if k.ec, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			i.t.Fatal(err)
		}
		point, err := k.ec.PublicKey.Bytes()
		if err != nil {
			i.t.Fatal(err)
		}
		public["kty"], public["crv"], public["x"], public["y"] = "EC", "P-256", encode(point[1:33]), encode(point[33:])
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = append(i.keys, public)
	return k
}

// sign makes a token of claims. The algorithm in its header is alg, whatever the key is for.
func (k *key) sign(t *testing.T, alg string, claims map[string]any) string {
	t.Helper()
	header, err := json.Marshal(map[string]string{"alg": alg, "kid": k.id, "typ": "JWT"})
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	text := encode(header) + "." + encode(body)
	sum := sha256.Sum256([]byte(text))
	var signature []byte
	switch {
	case alg == "none":
	case alg == "HS256": // with the public key as the secret, which a careless library takes for good
		public, err := x509.MarshalPKIXPublicKey(&k.rsa.PublicKey)
		if err != nil {
			t.Fatal(err)
		}
		mac := hmac.New(sha256.New, public)
		mac.Write([]byte(text))
		signature = mac.Sum(nil)
	case k.rsa != nil:
		if signature, err = rsa.SignPKCS1v15(rand.Reader, k.rsa, crypto.SHA256, sum[:]); err != nil {
			t.Fatal(err)
		}
	default:
		r, s, err := ecdsa.Sign(rand.Reader, k.ec, sum[:])
		if err != nil {
			t.Fatal(err)
		}
		signature = append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	}
	return text + "." + encode(signature)
}

// RoundTrip answers a request for the keys.
func (i *issuer) RoundTrip(r *http.Request) (*http.Response, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.fetched++
	res := &http.Response{StatusCode: http.StatusOK, Status: "200 OK", Header: http.Header{}, Request: r}
	if i.down {
		res.StatusCode, res.Status = http.StatusBadGateway, "502 Bad Gateway"
	}
	if i.control != "" {
		res.Header.Set("Cache-Control", i.control)
	}
	text, err := json.Marshal(map[string]any{"keys": i.keys})
	if err != nil {
		return nil, err
	}
	res.Body = body{strings.NewReader(string(text))}
	return res, nil
}

// body is that of an answer.
type body struct{ *strings.Reader }

// Close does nothing.
func (body) Close() error { return nil }

// fetches is how often the keys were asked for.
func (i *issuer) fetches() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.fetched
}

func (i *issuer) set(f func(i *issuer)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	f(i)
}
