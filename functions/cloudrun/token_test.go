package cloudrun_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/piecework/piecework/functions/cloudrun"
	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/tests/printed"
)

const (
	audience = "https://jobs.example/push"
	account  = "push@project.iam.gserviceaccount.com"
)

// callers are those of a server that trusts an issuer.
func (i *issuer) callers() cloudrun.Callers {
	return cloudrun.Callers{
		Accounts: []string{"scheduler@project.iam.gserviceaccount.com", account}, Audiences: []string{"https://other.example", audience},
		Client: &http.Client{Transport: i},
	}
}

// good are the claims of a good token, as Google makes them.
func good() map[string]any {
	return map[string]any{
		"iss": "https://accounts.google.com", "aud": audience, "azp": "113774264463038321964", "sub": "113774264463038321964",
		"email": account, "email_verified": true, "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
	}
}

// with is good with some claims of other values; nil: without them.
func with(changes map[string]any) map[string]any {
	claims := good()
	maps.Copy(claims, changes)
	maps.DeleteFunc(claims, func(_ string, value any) bool { return value == nil })
	return claims
}

func TestGoodTokensAreTaken(t *testing.T) {
	i := &issuer{t: t}
	rsaKey, ecKey := i.newKey("r", "RS256"), i.newKey("e", "ES256")
	i.set(func(i *issuer) { i.keys = append(i.keys, map[string]string{"kty": "of the future", "kid": "x"}) })
	jobs, _ := doubles()
	w := newWorld(t, jobs, &cloudrun.Options{Callers: i.callers()})
	for name, token := range map[string]string{
		"rsa":            rsaKey.sign(t, "RS256", good()),
		"ec":             ecKey.sign(t, "ES256", good()),
		"audiences":      rsaKey.sign(t, "RS256", with(map[string]any{"aud": []string{"x", audience}})),
		"just expired":   rsaKey.sign(t, "RS256", with(map[string]any{"exp": time.Now().Add(-30 * time.Second).Unix()})),
		"a bit early":    rsaKey.sign(t, "RS256", with(map[string]any{"iat": time.Now().Add(30 * time.Second).Unix()})),
		"other account":  rsaKey.sign(t, "RS256", with(map[string]any{"email": "scheduler@project.iam.gserviceaccount.com"})),
		"other audience": rsaKey.sign(t, "RS256", with(map[string]any{"aud": "https://other.example"})),
	} {
		t.Run(name, func(t *testing.T) {
			id := w.kit.Submit("test.double", 1)
			for _, scheme := range []string{"Bearer ", "bearer  "} {
				rec := httptest.NewRecorder()
				r := request(t, http.MethodPost, "/push/execute", wrap("1", hint(id), nil), "Authorization", scheme+token)
				r.RemoteAddr, r.Host = "203.0.113.9:1234", "jobs.example"
				if w.ServeHTTP(rec, r); rec.Code != http.StatusNoContent {
					t.Errorf("status %d: %s", rec.Code, rec.Body)
				}
			}
			w.state(id, store.Succeeded)
		})
	}
	if n := i.fetches(); n != 1 {
		t.Errorf("the keys were fetched %d times", n)
	}
}

func TestBadTokensAreRefusedAndNothingRuns(t *testing.T) {
	i := &issuer{t: t}
	genuine := i.newKey("r", "RS256")
	stranger := (&issuer{t: t}).newKey("r", "RS256") // of the same name
	unknown := (&issuer{t: t}).newKey("u", "RS256")
	elliptic := i.newKey("e", "ES256")
	jobs, runs := doubles()
	w := newWorld(t, jobs, &cloudrun.Options{Callers: i.callers()})
	id := w.kit.Submit("test.double", 1)
	sign := func(changes map[string]any) string { return "Bearer " + genuine.sign(t, "RS256", with(changes)) }
	whole := genuine.sign(t, "RS256", good())
	parts := strings.Split(whole, ".")
	hour := time.Hour
	for name, tt := range map[string]struct {
		header string
		status int
		why    string
	}{
		"none":              {"", 401, "there is no token"},
		"another scheme":    {"Basic dXNlcjpwYXNz", 401, "Bearer"},
		"no token":          {"Bearer nonsense", 401, "not valid"},
		"expired":           {sign(map[string]any{"exp": time.Now().Add(-hour).Unix(), "iat": time.Now().Add(-2 * hour).Unix()}), 401, "expired"},
		"without expiry":    {sign(map[string]any{"exp": nil}), 401, "when it expires"},
		"not yet":           {sign(map[string]any{"nbf": time.Now().Add(hour).Unix()}), 401, "not valid before"},
		"of the future":     {sign(map[string]any{"iat": time.Now().Add(hour).Unix()}), 401, "future"},
		"wrong audience":    {sign(map[string]any{"aud": "https://elsewhere.example"}), 401, "https://elsewhere.example"},
		"no audience":       {sign(map[string]any{"aud": nil}), 401, "audience"},
		"wrong issuer":      {sign(map[string]any{"iss": "https://evil.example"}), 401, "issuer"},
		"wrong account":     {sign(map[string]any{"email": "somebody@project.iam.gserviceaccount.com"}), 403, "somebody@"},
		"not verified":      {sign(map[string]any{"email_verified": false}), 403, "which may not call"},
		"verified in words": {sign(map[string]any{"email_verified": "true"}), 401, "not valid"},
		"no e-mail":         {sign(map[string]any{"email": nil}), 403, "which may not call"},
		"wrong key":         {"Bearer " + stranger.sign(t, "RS256", good()), 401, "not valid"},
		"unknown key":       {"Bearer " + unknown.sign(t, "RS256", good()), 401, "no key of its name"},
		"key of another":    {"Bearer " + (&key{id: "r", ec: elliptic.ec}).sign(t, "ES256", good()), 401, "not valid"},
		"alg none":          {"Bearer " + genuine.sign(t, "none", good()), 401, "not valid"},
		"alg HS256":         {"Bearer " + genuine.sign(t, "HS256", good()), 401, "not valid"},
		"no signature":      {"Bearer " + parts[0] + "." + parts[1] + ".", 401, "not valid"},
		"changed":           {"Bearer " + parts[0] + "." + encode([]byte(`{"email":"`+account+`"}`)) + "." + parts[2], 401, "not valid"},
		"checked before":    {"Bearer " + parts[0] + "." + parts[1] + ".SIGNATURE_REMOVED_BY_GOOGLE", 401, "Cloud Run has checked it"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, path := range []string{"/push/execute", "/push/submit", "/events", "/sweep"} {
				rec := w.post(path, hint(id), "Authorization", tt.header)
				if rec.Code != tt.status || rec.Header().Get("Content-Type") != "application/problem+json" {
					t.Errorf("%s: status %d: %s", path, rec.Code, rec.Body)
				}
				printed.Want(t, rec.Body.String(), tt.why)
				if (rec.Header().Get("WWW-Authenticate") != "") != (tt.status == 401) {
					t.Errorf("WWW-Authenticate: %q", rec.Header().Get("WWW-Authenticate"))
				}
			}
		})
	}
	if info := w.state(id, store.Queued); runs.Load() != 0 || info.Attempt != 0 {
		t.Errorf("%d runs, %+v", runs.Load(), info)
	}
	if parked, _, err := w.rt.Client().Parked(t.Context(), 10, ""); err != nil || len(parked) > 0 {
		t.Errorf("parked messages = %+v, error = %v; want no error and len(parked) <= 0", parked, err)
	}
}

// keyed is a server in a bubble that trusts an issuer with one key, and what its answers are.
func keyed(t *testing.T, control string) (i *issuer, k *key, status func(k *key) int) {
	t.Helper()
	i = &issuer{t: t, control: control}
	k = i.newKey("one", "ES256")
	jobs, _ := doubles()
	w := newWorld(t, jobs, &cloudrun.Options{Callers: i.callers()})
	return i, k, func(k *key) int {
		return w.post("/sweep", "", "Authorization", "Bearer "+k.sign(t, "ES256", good())).Code
	}
}

func TestKeysAreKeptForAsLongAsTheIssuerSays(t *testing.T) {
	for control, keep := range map[string]time.Duration{
		"public, max-age=19845, must-revalidate": 19845 * time.Second, "": time.Hour, "no-store": time.Minute, "max-age=5": time.Minute,
		"max-age=99999999": 24 * time.Hour, "max-age=soon": time.Hour,
	} {
		synctest.Test(t, func(t *testing.T) {
			i, k, status := keyed(t, control)
			for n, wait := range []time.Duration{0, keep - time.Second, 2 * time.Second} {
				time.Sleep(wait)
				if got := status(k); got != http.StatusOK {
					t.Errorf("%q: status %d", control, got)
				}
				if want := 1 + n/2; i.fetches() != want {
					t.Errorf("%q: fetched %d times, want %d", control, i.fetches(), want)
				}
			}
		})
	}
}

func TestANewKeyIsLookedForButNotForEachRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, old, status := keyed(t, "")
		if status(old) != http.StatusOK {
			t.Error("the first key is not taken")
		}
		fresh := i.newKey("two", "ES256")
		for range 10 { // strangers' keys do not make it ask all the time
			if status(&key{id: "three", ec: fresh.ec}) != http.StatusUnauthorized {
				t.Error("an unknown key is taken")
			}
		}
		if i.fetches() != 1 {
			t.Errorf("fetched %d times", i.fetches())
		}
		time.Sleep(time.Minute)
		if got := status(fresh); got != http.StatusOK || i.fetches() != 2 {
			t.Errorf("status %d, fetched %d times", got, i.fetches())
		}
		i.set(func(i *issuer) { i.keys = i.keys[1:] })
		time.Sleep(time.Hour)
		if got := status(old); got != http.StatusUnauthorized {
			t.Errorf("a key that the issuer has withdrawn is taken: %d", got)
		}
	})
}

func TestWithoutTheIssuersKeysNobodyKnows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, k, status := keyed(t, "")
		i.set(func(i *issuer) { i.down = true })
		for range 10 {
			if got := status(k); got != http.StatusServiceUnavailable {
				t.Errorf("status %d", got)
			}
		}
		if i.fetches() != 1 {
			t.Errorf("fetched %d times", i.fetches())
		}
		i.set(func(i *issuer) { i.down = false })
		time.Sleep(10 * time.Second)
		if got := status(k); got != http.StatusOK {
			t.Errorf("status %d", got)
		}
		i.set(func(i *issuer) { i.down = true })
		time.Sleep(time.Hour + time.Minute) // the old ones serve for a while
		if got := status(k); got != http.StatusOK {
			t.Errorf("status %d", got)
		}
		if got := status(&key{id: "three", ec: k.ec}); got != http.StatusServiceUnavailable {
			t.Errorf("status %d of a key that may be new", got)
		}
		time.Sleep(time.Hour)
		if got := status(k); got != http.StatusServiceUnavailable {
			t.Errorf("status %d", got)
		}
	})
}

func TestKeysThatAreNoneAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, k, status := keyed(t, "")
		i.set(func(i *issuer) { i.keys = []map[string]string{{"kty": "oct", "kid": "one", "k": "c2VjcmV0"}} })
		if got := status(k); got != http.StatusServiceUnavailable {
			t.Errorf("status %d", got)
		}
	})
}

func TestWithoutAccountsOnlyThisMachineMayCall(t *testing.T) {
	jobs, _ := doubles()
	w := newWorld(t, jobs, nil)
	for name, tt := range map[string]struct {
		from, host, origin string
		status             int
	}{
		"here":         {"127.0.0.1:1", "localhost:8080", "", 200},
		"here by IPv6": {"[::1]:1", "[::1]:8080", "", 200},
		"elsewhere":    {"203.0.113.9:1", "localhost:8080", "", 403},
		"rebound":      {"127.0.0.1:1", "evil.example", "", 421},
		"a page":       {"127.0.0.1:1", "localhost:8080", "https://evil.example", 403},
	} {
		rec := httptest.NewRecorder()
		r := request(t, http.MethodPost, "/sweep", "")
		r.RemoteAddr, r.Host = tt.from, tt.host
		if tt.origin != "" {
			r.Header.Set("Origin", tt.origin)
		}
		if w.ServeHTTP(rec, r); rec.Code != tt.status {
			t.Errorf("%s: status %d: %s", name, rec.Code, rec.Body)
		}
	}
}

func TestWherethePlatformChecksEverybodyIsLetIn(t *testing.T) {
	jobs, _ := doubles()
	w := newWorld(t, jobs, &cloudrun.Options{Callers: cloudrun.Callers{Platform: true}})
	rec := httptest.NewRecorder()
	r := request(t, http.MethodPost, "/sweep", "")
	r.RemoteAddr, r.Host = "169.254.1.1:1", "jobs-abc.run.app"
	if w.ServeHTTP(rec, r); rec.Code != http.StatusOK {
		t.Errorf("status %d: %s", rec.Code, rec.Body)
	}
}
