package apiclient

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/httpapi/wire"
)

// Outputs lists the files of a job that has succeeded; of others, none.
func (c *Client) Outputs(ctx context.Context, id string) ([]functions.OutputInfo, error) {
	var o wire.Outputs
	err := c.do(ctx, call{method: http.MethodGet, path: []string{"v1", "jobs", id, "outputs"}, again: true}, &o)
	return o.Outputs, err
}

// OpenOutput reads a file of a job from offset on. Its end is io.EOF only if all of it came; close it.
func (c *Client) OpenOutput(ctx context.Context, id, name string, offset int64) (io.ReadCloser, functions.OutputInfo, error) {
	q := call{method: http.MethodGet, path: []string{"v1", "jobs", id, "outputs", name}, header: http.Header{}}
	if offset > 0 {
		q.header.Set("Range", fmt.Sprintf("bytes=%d-", offset))
	}
	var resp *http.Response
	err := c.patiently(ctx, true, func() (err error) {
		resp, err = c.send(ctx, q) //nolint:bodyclose // the caller of OpenOutput closes it
		return err
	})
	if err != nil {
		return nil, functions.OutputInfo{}, err
	}
	info := functions.OutputInfo{
		Name: name, Size: resp.ContentLength, ContentType: resp.Header.Get("Content-Type"),
		SHA256: strings.Trim(resp.Header.Get("ETag"), `"`),
	}
	if resp.StatusCode == http.StatusPartialContent {
		info.Size += offset
	}
	return resp.Body, info, nil
}
