package drivers

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/piecework/piecework/functions"
)

// Placeholder stands for the name of a queue in the URL of the queues.
const Placeholder = "{queue}"

// errUser repeats no part of the URL: some of it is the password.
var errUser = errors.New("its user or password cannot be read: escape special characters as %XX, such as / as %2F")

// Address is a URL in its parts. It is not a *url.URL because those allow one host only, and no
// "{queue}" in it.
type Address struct {
	Scheme string
	User   *url.Userinfo // nil if there is none
	Host   string        // with port; may be a list, separated by commas
	Path   string        // without the slash before it, unescaped
	Params *Params

	raw string
}

// ParseAddress takes a URL apart. Its errors are functions.ErrConfig.
func ParseAddress(rawURL string) (*Address, error) {
	a := &Address{raw: rawURL}
	var rest string
	var ok bool
	if a.Scheme, rest, ok = strings.Cut(rawURL, ":"); !ok || a.Scheme == "" || strings.ContainsAny(a.Scheme, "/?# ") {
		return nil, fmt.Errorf("%w: not a URL: it begins with no scheme and colon", functions.ErrConfig)
	}
	a.Scheme = strings.ToLower(a.Scheme)
	rest, query, _ := strings.Cut(rest, "?")
	if before, _, has := strings.Cut(query, "@"); has && !strings.Contains(before, "=") {
		return nil, a.wrap(errUser) // a question mark in the password
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return nil, a.Errorf("its parameters cannot be read: %w", err)
	}
	a.Params = newParams(values)
	if rest, ok = strings.CutPrefix(rest, "//"); !ok {
		a.Path, err = url.PathUnescape(rest)
		return a, a.wrap(err)
	}
	authority, path, _ := strings.Cut(rest, "/")
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		if a.User, err = userinfo(authority[:at]); err != nil {
			return nil, a.wrap(errUser)
		}
		authority = authority[at+1:]
	} else if strings.Contains(authority, ":") && strings.Contains(path, "@") {
		return nil, a.wrap(errUser) // a slash in the password
	}
	a.Host = authority
	a.Path, err = url.PathUnescape(path)
	return a, a.wrap(err)
}

func userinfo(text string) (*url.Userinfo, error) {
	name, password, has := strings.Cut(text, ":")
	name, err := url.PathUnescape(name)
	if err != nil || !has {
		return url.User(name), err
	}
	password, err = url.PathUnescape(password)
	return url.UserPassword(name, password), err
}

// Raw is the URL as it was given, secrets included.
func (a *Address) Raw() string { return a.raw }

// String is the URL without user, password and parameters, fit for logs and errors.
func (a *Address) String() string { return functions.RedactURL(a.raw) }

// Errorf is a functions.ErrConfig that names the URL.
func (a *Address) Errorf(format string, args ...any) error {
	return fmt.Errorf("%w: %s: %w", functions.ErrConfig, a, fmt.Errorf(format, args...))
}

// wrap is Errorf for an error of parsing; nil stays nil.
func (a *Address) wrap(err error) error {
	if err == nil {
		return nil
	}
	return a.Errorf("%w", err)
}

// Check returns an error for parameters that no getter has asked for and values that the getters
// could not read. Call it after the last getter.
func (a *Address) Check() error { return a.wrap(a.Params.err()) }

// WantHost refuses a URL without a host; what says what the host is.
func (a *Address) WantHost(what string) error {
	if a.Host == "" {
		return a.Errorf("it names no %s: want %s://%s...", what, a.Scheme, strings.ToUpper(what))
	}
	return nil
}

// WantNoPath refuses a URL with a path.
func (a *Address) WantNoPath() error {
	if strings.Trim(a.Path, "/") != "" {
		return a.Errorf("it has a path, %q, which means nothing here: remove it", a.Path)
	}
	return nil
}

// ForQueue replaces "{queue}" in a template by the name of a queue.
func ForQueue(template, queue string) string { return strings.ReplaceAll(template, Placeholder, queue) }

// WantPlaceholder refuses a name that would be the same for all queues.
func (a *Address) WantPlaceholder(template string) error {
	if !strings.Contains(template, Placeholder) {
		return a.Errorf("%q is the same for all queues: put %s where a queue's name belongs", template, Placeholder)
	}
	return nil
}

func shorten(s string) string {
	if len(s) > 60 {
		return s[:60] + "..."
	}
	return s
}
