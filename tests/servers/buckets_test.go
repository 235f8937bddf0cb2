package servers

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"gocloud.dev/blob"

	"github.com/piecework/piecework/infra/drivers"
	awsdrivers "github.com/piecework/piecework/infra/drivers/aws"
	"github.com/piecework/piecework/tests/conformance"
)

// openBucket opens a bucket until the test ends.
func openBucket(t *testing.T, set *drivers.Set, rawURL string) *blob.Bucket {
	t.Helper()
	b, err := set.OpenBucket(t.Context(), rawURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func TestS3(t *testing.T) {
	fakeAWS(t)
	endpoint, dir := S3(t)
	set := drivers.New(awsdrivers.Register)
	n := 0
	conformance.Blob(t, conformance.BlobHarness{
		Signs: true,
		New: func(t *testing.T) *blob.Bucket {
			n++
			name := fmt.Sprint("bucket-", n)
			if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
				t.Fatal(err)
			}
			return openBucket(t, set, fmt.Sprintf("s3://%s?region=us-east-1&endpoint=%s", name, endpoint))
		},
	})
}
