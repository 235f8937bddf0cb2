package cloudrun

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	fetchTime = 10 * time.Second // for fetching the keys
	maxKeys   = 1 << 20          // bytes
	leastAge  = time.Minute      // the shortest time that keys are kept, and between two searches for an unknown key
	usualAge  = time.Hour        // if the issuer does not say how long
	mostAge   = 24 * time.Hour
	staleTime = time.Hour // how long expired keys are used if no others can be fetched
	tryAgain  = 10 * time.Second
)

// errKeys says that the issuer's keys cannot be fetched, so a token cannot be checked.
var errKeys = errors.New("the issuer's keys cannot be fetched")

// keySet holds an issuer's keys for as long as the issuer says that they may be kept.
type keySet struct {
	url    string
	client *http.Client
	now    func() time.Time

	fetching chan struct{} // has room for one fetch

	mu      sync.RWMutex
	keys    jose.JSONWebKeySet
	expires time.Time
	next    time.Time // when they may be fetched again for an unknown key or after a failure
	failure error     // of the last time
}

func newKeySet(url string, client *http.Client, now func() time.Time) *keySet {
	return &keySet{url: url, client: client, now: now, fetching: make(chan struct{}, 1)}
}

// find returns the keys of an id: none if the issuer has none. The error is errKeys.
func (k *keySet) find(ctx context.Context, id string) ([]jose.JSONWebKey, error) {
	if keys, done, err := k.look(id); done {
		return keys, err
	}
	select {
	case k.fetching <- struct{}{}:
		defer func() { <-k.fetching }()
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", errKeys, ctx.Err())
	}
	if keys, done, err := k.look(id); done { // another request has fetched them
		return keys, err
	}
	k.fetch(ctx)
	keys, _, err := k.look(id)
	return keys, err
}

// look searches the cached keys. done is false if the keys should be fetched.
func (k *keySet) look(id string) (keys []jose.JSONWebKey, done bool, err error) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	now := k.now()
	keys = k.keys.Key(id)
	fresh := now.Before(k.expires)
	if fresh && len(keys) > 0 {
		return keys, true, nil
	}
	done = now.Before(k.next)
	if !fresh && !now.Before(k.expires.Add(staleTime)) {
		keys = nil
	}
	if len(keys) == 0 && k.failure != nil {
		return nil, done, fmt.Errorf("%w: %w", errKeys, k.failure)
	}
	return keys, done, nil
}

// fetch fetches the keys. If that fails, the cached keys stay. It goes on when the caller has gone,
// because other callers wait for it.
func (k *keySet) fetch(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTime)
	defer cancel()
	keys, age, err := k.get(ctx)
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.now()
	if k.failure = err; err != nil {
		k.next = now.Add(tryAgain)
		return
	}
	k.keys, k.expires, k.next = keys, now.Add(age), now.Add(leastAge)
}

func (k *keySet) get(ctx context.Context) (keys jose.JSONWebKeySet, age time.Duration, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("fetch %s: %w", k.url, err)
		}
	}()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, k.url, http.NoBody)
	if err != nil {
		return keys, 0, err
	}
	res, err := k.client.Do(req)
	if err != nil {
		return keys, 0, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return keys, 0, fmt.Errorf("status %s", res.Status)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxKeys))
	if err != nil {
		return keys, 0, err
	}
	keys, err = readKeys(body)
	return keys, keepFor(res.Header), err
}

// readKeys reads a set of keys. It leaves out keys that cannot be read, such as keys of an unknown
// type (RFC 7517, section 5), and keys that are not for checking signatures.
func readKeys(body []byte) (keys jose.JSONWebKeySet, err error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(body, &set); err != nil {
		return keys, fmt.Errorf("not a JSON Web Key Set: %w", err)
	}
	for _, text := range set.Keys {
		var key jose.JSONWebKey
		if key.UnmarshalJSON(text) == nil && key.Valid() && key.IsPublic() && (key.Use == "" || key.Use == "sig") {
			keys.Keys = append(keys.Keys, key)
		}
	}
	if len(keys.Keys) == 0 {
		return keys, fmt.Errorf("none of its %d keys can be used", len(set.Keys))
	}
	return keys, nil
}

// keepFor is how long an answer may be kept (RFC 9111), within bounds.
func keepFor(h http.Header) time.Duration {
	age := usualAge
	for directive := range strings.SplitSeq(strings.Join(h.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.ToLower(strings.TrimSpace(directive)), "=")
		switch name {
		case "no-store", "no-cache":
			return leastAge
		case "max-age":
			if seconds, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 31); err == nil {
				age = time.Duration(seconds) * time.Second
			}
		}
	}
	if seconds, err := strconv.ParseUint(h.Get("Age"), 10, 31); err == nil {
		age -= time.Duration(seconds) * time.Second
	}
	return min(max(age, leastAge), mostAge)
}
