package servers

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// GCS starts fake-gcs-server and returns where it listens.
//
// It differs from the real service: it does not look at signatures, and gives lists with a delimiter in one page.
func GCS(tb testing.TB) string {
	tb.Helper()
	port := freePort(tb)
	url := "http://" + address(port)
	run(tb, &Process{
		name: "fake-gcs-server", ready: listens(address(port)), dir: tb.TempDir(),
		args: []string{
			tool(tb, "fake-gcs-server", "github.com/fsouza/fake-gcs-server"), "-backend", "memory", "-scheme", "http",
			"-host", "127.0.0.1", "-port", strconv.Itoa(port), "-public-host", address(port), "-external-url", url,
		},
	})
	return address(port)
}

// MakeBucket makes a bucket of fake-gcs-server's.
func MakeBucket(tb testing.TB, host, name string) {
	tb.Helper()
	body := strings.NewReader(fmt.Sprintf(`{"name":%q}`, name))
	req, err := http.NewRequestWithContext(tb.Context(), http.MethodPost, "http://"+host+"/storage/v1/b?project=test", body)
	if err != nil {
		tb.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		tb.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil || resp.StatusCode != http.StatusOK {
		tb.Fatalf("create bucket %s: status %d, %v", name, resp.StatusCode, err)
	}
}
