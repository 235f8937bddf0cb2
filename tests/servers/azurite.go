package servers

import (
	"path/filepath"
	"strconv"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
)

// The account of Azurite and its key, which everybody knows.
const (
	AzuriteAccount = "devstoreaccount1"
	AzuriteKey     = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)

// Azurite starts Microsoft's emulator of Blob Storage and returns where it listens.
func Azurite(tb testing.TB) string {
	tb.Helper()
	port := freePort(tb)
	run(tb, &Process{
		name: "Azurite", ready: listens(address(port)), dir: tb.TempDir(),
		args: []string{
			"node", filepath.Join(npm(tb, "azurite"), "dist", "src", "blob", "main.js"), "--blobHost", "127.0.0.1",
			"--blobPort", strconv.Itoa(port), "--inMemoryPersistence", "--silent", "--disableTelemetry", "--skipApiVersionCheck",
		},
	})
	return address(port)
}

// MakeContainer makes a container of Azurite's.
func MakeContainer(tb testing.TB, host, name string) {
	tb.Helper()
	key, err := azblob.NewSharedKeyCredential(AzuriteAccount, AzuriteKey)
	if err != nil {
		tb.Fatal(err)
	}
	client, err := azblob.NewClientWithSharedKeyCredential("http://"+host+"/"+AzuriteAccount, key, nil)
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := client.CreateContainer(tb.Context(), name, nil); err != nil {
		tb.Fatalf("create container %s: %v", name, err)
	}
}
