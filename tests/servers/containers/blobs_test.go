package containers

import (
	"fmt"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/wait"
	"gocloud.dev/blob"

	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/infra/drivers/azure"
	"github.com/piecework/piecework/tests/conformance"
)

// The account of Azurite, which everybody knows.
const (
	account    = "devstoreaccount1"
	accountKey = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)

func TestAzurite(t *testing.T) {
	host := start(t, testcontainers.ContainerRequest{
		Image: "mcr.microsoft.com/azure-storage/azurite:3.33.0", ExposedPorts: []string{"10000/tcp"},
		Cmd:        []string{"azurite-blob", "--blobHost", "0.0.0.0", "--skipApiVersionCheck", "--inMemoryPersistence"},
		WaitingFor: wait.ForListeningPort("10000/tcp"),
	})
	t.Setenv("AZURE_STORAGE_ACCOUNT", account)
	t.Setenv("AZURE_STORAGE_KEY", accountKey)
	key, err := azblob.NewSharedKeyCredential(account, accountKey)
	if err != nil {
		t.Fatal(err)
	}
	client, err := azblob.NewClientWithSharedKeyCredential("http://"+host+"/"+account, key, nil)
	if err != nil {
		t.Fatal(err)
	}
	set, n := drivers.New(azure.Register), 0
	conformance.Blob(t, conformance.BlobHarness{
		Signs: true,
		New: func(t *testing.T) *blob.Bucket {
			n++
			name := fmt.Sprint("bucket-", n)
			if _, err := client.CreateContainer(t.Context(), name, nil); err != nil {
				t.Fatal(err)
			}
			return conformance.BucketOf(t, set, "azblob://"+name+"?domain="+host+"&protocol=http&localemu=true")
		},
	})
}
