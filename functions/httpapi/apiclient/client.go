package apiclient

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/propagation"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/httpapi/wire"
)

// The errors of this package, beside refusals. Match them with errors.Is.
var (
	// ErrUnreachable means that no server answers at the address.
	ErrUnreachable = errors.New("no answer from the server")
	// ErrNotPiecework means that a server answers, but not as a Piecework server does.
	ErrNotPiecework = errors.New("not a Piecework server")
)

// Options configures a Client. The zero value of each field means its default.
type Options struct {
	// Token is sent with each request. Default: none.
	Token string
	// HTTP sends the requests. Default: a client without a time limit, since every call has a context.
	HTTP *http.Client
	// Patience is how long to ask again while the server's store is not available. Default 15 seconds; negative:
	// not at all.
	Patience time.Duration
	// Agent names this program to the server. Default "piecework-client".
	Agent string
}

// Client asks one server. It is safe for concurrent use.
type Client struct {
	base *url.URL
	opts Options
}

// New returns a client of the server at an address such as http://127.0.0.1:7433.
func New(base string, o *Options) (*Client, error) {
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("%w: server address %q: write it as in http://127.0.0.1:7433", functions.ErrConfig, base)
	}
	c := &Client{base: u}
	if o != nil {
		c.opts = *o
	}
	if strings.ContainsFunc(c.opts.Token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, fmt.Errorf("%w: the token has a space or a sign that no token has", functions.ErrConfig)
	}
	if c.opts.HTTP == nil {
		c.opts.HTTP = &http.Client{}
	}
	if c.opts.Patience == 0 {
		c.opts.Patience = 15 * time.Second
	}
	if c.opts.Agent == "" {
		c.opts.Agent = "piecework-client"
	}
	return c, nil
}

// URL is the server's address.
func (c *Client) URL() string { return strings.TrimSuffix(c.base.String(), "/") }

// call is one request.
type call struct {
	method string
	path   []string // its segments, not escaped
	query  url.Values
	header http.Header
	body   any
	again  bool // asking twice does no harm
}

// do asks, and decodes the answer into v.
func (c *Client) do(ctx context.Context, q call, v any) error {
	return c.patiently(ctx, q.again, func() error {
		resp, err := c.send(ctx, q)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if err := json.NewDecoder(resp.Body).Decode(v); err != nil {
			if ctx.Err() != nil {
				return fmt.Errorf("%s: %w", c.URL(), context.Cause(ctx))
			}
			return fmt.Errorf("the server at %s is %w: its answer cannot be decoded: %w", c.URL(), ErrNotPiecework, err)
		}
		return nil
	})
}

// send sends a request and returns an answer that is no refusal.
func (c *Client) send(ctx context.Context, q call) (*http.Response, error) {
	for _, segment := range q.path {
		if segment == "" || segment == "." || segment == ".." {
			return nil, fmt.Errorf("%w: %q cannot be an id or a name", functions.ErrInvalid, segment)
		}
	}
	u := c.base.JoinPath(escape(q.path)...)
	u.RawQuery = q.query.Encode()
	var body io.Reader
	if q.body != nil {
		data, err := json.Marshal(q.body)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", functions.ErrArgs, err)
		}
		body = bytes.NewReader(data)
	}
	r, err := http.NewRequestWithContext(ctx, q.method, u.String(), body)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", functions.ErrInvalid, err)
	}
	if q.header != nil {
		r.Header = q.header.Clone()
	}
	if q.body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	r.Header.Set("User-Agent", c.opts.Agent)
	if c.opts.Token != "" {
		r.Header.Set("Authorization", "Bearer "+c.opts.Token)
	}
	propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(r.Header)) // if there is a trace
	resp, err := c.opts.HTTP.Do(r)
	if err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%s: %w", c.URL(), context.Cause(ctx))
		}
		if wrapped, ok := errors.AsType[*url.Error](err); ok {
			err = wrapped.Err // it repeats the address
		}
		return nil, fmt.Errorf("%w at %s: %w", ErrUnreachable, c.URL(), err)
	}
	if resp.StatusCode < http.StatusMultipleChoices {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, c.refusal(resp)
}

// escape escapes the segments of a path; slashes within one separate segments of the server's route.
func escape(path []string) []string {
	var segments []string
	for _, p := range path {
		for s := range strings.SplitSeq(p, "/") {
			segments = append(segments, url.PathEscape(s))
		}
	}
	return segments
}

// maxProblem is more than any problem of the server is long.
const maxProblem = 16 << 20

// refusal reads the problem in an answer.
func (c *Client) refusal(resp *http.Response) error {
	media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	p := &wire.Problem{}
	if media != wire.ProblemType || json.NewDecoder(io.LimitReader(resp.Body, maxProblem)).Decode(p) != nil || p.Status == 0 {
		return fmt.Errorf("the server at %s is %w: it answers %s", c.URL(), ErrNotPiecework, resp.Status)
	}
	p.RetryAfter, _ = strconv.Atoi(resp.Header.Get("Retry-After")) // 0 if there is none
	return p
}
