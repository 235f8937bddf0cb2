package apiclient

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/httpapi/wire"
)

// Kinds describes the kinds that the server knows.
func (c *Client) Kinds(ctx context.Context) ([]functions.KindInfo, error) {
	var k wire.Kinds
	err := c.do(ctx, call{method: http.MethodGet, path: []string{"v1", "kinds"}, again: true}, &k)
	return k.Kinds, err
}

// Kind describes a kind, with the JSON Schemas of its arguments and its result if the server has them.
func (c *Client) Kind(ctx context.Context, name string) (wire.Kind, error) {
	var k wire.Kind
	err := c.do(ctx, call{method: http.MethodGet, path: []string{"v1", "kinds", name}, again: true}, &k)
	return k, err
}

// Parked returns a page of messages that could not be made jobs, newest first. Limit 0 means 50.
func (c *Client) Parked(ctx context.Context, limit int, cursor string) (wire.ParkedPage, error) {
	query := url.Values{}
	if limit != 0 {
		query.Set("limit", strconv.Itoa(limit))
	}
	if cursor != "" {
		query.Set("cursor", cursor)
	}
	var p wire.ParkedPage
	err := c.do(ctx, call{method: http.MethodGet, path: []string{"v1", "parked"}, query: query, again: true}, &p)
	return p, err
}

// RemoveParked deletes a parked message. If the answer is lost and it is asked again, the second answer may be
// store.ErrNotFound.
func (c *Client) RemoveParked(ctx context.Context, id string) (wire.Unparked, error) {
	var u wire.Unparked
	err := c.do(ctx, call{method: http.MethodDelete, path: []string{"v1", "parked", id}, again: true}, &u)
	return u, err
}

// ReplayParked submits a parked message again, which creates no second job when it is repeated.
func (c *Client) ReplayParked(ctx context.Context, id string) (wire.Unparked, error) {
	var u wire.Unparked
	err := c.do(ctx, call{method: http.MethodPost, path: []string{"v1", "parked", id, "replay"}, again: true}, &u)
	return u, err
}

// Sweep looks after what is due.
func (c *Client) Sweep(ctx context.Context, s wire.Sweep) (functions.SweepResult, error) {
	var r functions.SweepResult
	err := c.do(ctx, call{method: http.MethodPost, path: []string{"v1", "sweep"}, body: s, again: true}, &r)
	return r, err
}

// Stats counts what the server's process did since it started.
func (c *Client) Stats(ctx context.Context) (wire.Stats, error) {
	var s wire.Stats
	err := c.do(ctx, call{method: http.MethodGet, path: []string{"v1", "stats"}, again: true}, &s)
	return s, err
}

// Health says whether the server works. A server whose store does not answer is an error too.
func (c *Client) Health(ctx context.Context) (wire.Health, error) {
	var h wire.Health
	err := c.do(ctx, call{method: http.MethodGet, path: []string{"v1", "health"}}, &h)
	return h, err
}
