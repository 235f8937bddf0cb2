package servers

import (
	"path/filepath"
	"strconv"
	"testing"
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
