package httpapi_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/piecework/piecework/functions/httpapi/apiclient"
	"github.com/piecework/piecework/functions/httpapi/wire"
)

// The API can be below any prefix: what it refers to is found there.
func TestBelowAPrefix(t *testing.T) {
	for _, prefix := range []string{"", "/jobs-api", "/a/b"} {
		t.Run(prefix, func(t *testing.T) {
			server := httptest.NewServer(http.StripPrefix(prefix, newDesk(t, nil)))
			defer server.Close()
			get := func(ref string) (int, string) {
				t.Helper()
				r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, ref, nil)
				if err != nil {
					t.Fatal(err)
				}
				resp, err := http.DefaultClient.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				text, err := io.ReadAll(resp.Body)
				if err != nil {
					t.Fatal(err)
				}
				return resp.StatusCode, string(text)
			}
			resolve := func(base, ref string) string {
				t.Helper()
				u, err := url.Parse(base)
				if err != nil {
					t.Fatal(err)
				}
				u, err = u.Parse(ref)
				if err != nil {
					t.Fatal(err)
				}
				return u.String()
			}

			ask, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+prefix+"/v1/jobs", bytes.NewReader([]byte(`{"kind":"test.order"}`)))
			if err != nil {
				t.Fatal(err)
			}
			ask.Header.Set("Content-Type", "application/json")
			resp, err := http.DefaultClient.Do(ask)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			at, err := resp.Location()
			if err != nil {
				t.Fatal(err)
			}
			if status, text := get(at.String()); status != http.StatusOK || !strings.Contains(text, "test.order") {
				t.Errorf("Location %q: status %d, %s", resp.Header.Get("Location"), status, text)
			}

			docs := server.URL + prefix + "/docs"
			_, page := get(docs)
			for _, home := range []string{"", "/", "?a=b"} {
				if status, text := get(server.URL + prefix + home); status != http.StatusOK || text != page {
					t.Errorf("%q: status %d, want that it leads to /docs", prefix+home, status)
				}
			}
			links := 0
			for _, part := range strings.Split(page, `href="`)[1:] {
				link, _, _ := strings.Cut(part, `"`)
				if strings.HasPrefix(link, "#") {
					continue
				}
				links++
				if status, _ := get(resolve(docs, link)); status != http.StatusOK {
					t.Errorf("the link %q of /docs: status %d, want 200", link, status)
				}
			}
			if links != 2 {
				t.Errorf("%d links on /docs, want 2", links)
			}

			var doc struct {
				Servers []struct {
					URL string `json:"url"`
				} `json:"servers"`
			}
			described := server.URL + prefix + "/openapi.json"
			if _, text := get(described); json.Unmarshal([]byte(text), &doc) != nil || len(doc.Servers) != 1 {
				t.Fatalf("the document has servers %v, want one", doc.Servers)
			}
			root := strings.TrimSuffix(resolve(described, doc.Servers[0].URL), "/")
			if status, _ := get(root + "/v1/kinds"); status != http.StatusOK {
				t.Errorf("the document's server %q: status %d, want 200", root, status)
			}

			client, err := apiclient.New(server.URL+prefix, nil)
			if err != nil {
				t.Fatal(err)
			}
			if list, err := client.List(t.Context(), wire.List{}); err != nil || len(list.Jobs) != 1 {
				t.Errorf("the client: %d jobs, %v, want 1", len(list.Jobs), err)
			}
			for _, path := range []string{"/v1//jobs", "/v1/./jobs", "/x/../v1/jobs"} {
				if status, _ := get(server.URL + prefix + path); status != http.StatusNotFound {
					t.Errorf("%s: status %d, want 404 and no redirect to elsewhere", path, status)
				}
			}
		})
	}
}
