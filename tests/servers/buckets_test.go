package servers

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gocloud.dev/blob"

	"github.com/piecework/piecework/blobout"
	"github.com/piecework/piecework/infra/drivers"
	awsdrivers "github.com/piecework/piecework/infra/drivers/aws"
	"github.com/piecework/piecework/infra/drivers/azure"
	"github.com/piecework/piecework/infra/drivers/gcp"
	"github.com/piecework/piecework/tests/conformance"
)

func TestS3(t *testing.T) {
	FakeAWS(t)
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
			return conformance.BucketOf(t, set, fmt.Sprintf("s3://%s?region=us-east-1&endpoint=%s", name, endpoint))
		},
	})
}

func TestAzureBlob(t *testing.T) {
	host := Azurite(t)
	t.Setenv("AZURE_STORAGE_ACCOUNT", AzuriteAccount)
	t.Setenv("AZURE_STORAGE_KEY", AzuriteKey)
	set := drivers.New(azure.Register)
	upload := func(*testing.T, *blob.Bucket) *blobout.Options { return &blobout.Options{Upload: true} }
	none := blobout.New(conformance.BucketOf(t, set, "azblob://nothing?domain="+host+"&protocol=http&localemu=true"), upload(t, nil))
	if _, err := none.Put(t.Context(), "job-1", "result", []byte("1")); err == nil || !strings.Contains(err.Error(), "ContainerNotFound") {
		t.Errorf("write to a container that is not there: %v", err)
	}
	n := 0
	conformance.Blob(t, conformance.BlobHarness{
		Signs: true, Options: upload,
		New: func(t *testing.T) *blob.Bucket {
			n++
			name := fmt.Sprint("bucket-", n)
			MakeContainer(t, host, name)
			return conformance.BucketOf(t, set, "azblob://"+name+"?domain="+host+"&protocol=http&localemu=true")
		},
	})
}

// The emulator cannot be asked to sign: that needs an account. What the driver signs with one is its own test.
func TestGCS(t *testing.T) {
	host := GCS(t)
	t.Setenv("STORAGE_EMULATOR_HOST", host)
	set := drivers.New(gcp.Register)
	n := 0
	conformance.Blob(t, conformance.BlobHarness{
		New: func(t *testing.T) *blob.Bucket {
			n++
			name := fmt.Sprint("bucket-", n)
			MakeBucket(t, host, name)
			return conformance.BucketOf(t, set, "gs://"+name)
		},
	})
}
