package coldstart

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/piecework/piecework/tests/port"
	"github.com/piecework/piecework/tests/servers"
	"github.com/piecework/piecework/tests/servers/lambda/build"
)

// container is a program that serves HTTP, and how it is asked first.
type container struct {
	what    string
	program string
	args    []string
	vars    []string
	path    string
}

// A container is not held to a budget: pulling its image takes longer than all this.
func TestContainerStart(t *testing.T) {
	empty := container{"the empty HTTP server", build.Must(t, "tests/servers/lambda/coldstart/barehttp"), nil, nil, "/"}
	all := []container{empty}
	for _, c := range []container{googleCloud(t), azure(t)} {
		for _, path := range []string{"/healthz", "/v1/health"} { // the latter asks the store
			one := c
			one.what, one.path = c.what+", GET "+path, path
			all = append(all, one)
		}
	}
	times := make([][]time.Duration, len(all))
	for range runs {
		for i, c := range all {
			times[i] = append(times[i], c.start(t))
		}
	}
	for i, c := range all {
		fmt.Printf("cold  %-42s %10s from the start to the first answer; %+.1f ms beside the empty server\n",
			c.what, millis(median(times[i])), float64(median(times[i])-median(times[0]))/float64(time.Millisecond))
	}
}

// googleCloud is the program for Cloud Run, on emulators. That of Firestore takes most of the time of what asks the store.
func googleCloud(t *testing.T) container {
	t.Helper()
	return container{"gcp serve", build.MustDeployed(t, "gcp"), nil, []string{
		"K_SERVICE=cold", "PIECEWORK_STORE=firestore://piecework-test/jobs", "PIECEWORK_QUEUES=gcppubsub://piecework-test/piecework-{queue}",
		"PIECEWORK_BLOBS=gs://piecework", "FIRESTORE_EMULATOR_HOST=" + servers.Firestore(t), "PUBSUB_EMULATOR_HOST=" + servers.PubSub(t),
		"STORAGE_EMULATOR_HOST=" + servers.GCS(t),
	}, ""}
}

// azure is the program for Container Apps, on FerretDB and Azurite. There is no emulator of Service Bus that runs here,
// nor do these answers need it.
func azure(t *testing.T) container {
	t.Helper()
	blobs := servers.Azurite(t)
	return container{"azure serve", build.MustDeployed(t, "azure"), []string{"serve"}, []string{
		"PIECEWORK_STORE=" + servers.MongoDB(t) + "/piecework", "PIECEWORK_QUEUES=azuresb:///piecework-{queue}",
		"SERVICEBUS_CONNECTION_STRING=Endpoint=sb://127.0.0.1/;SharedAccessKeyName=k;SharedAccessKey=a2V5",
		"PIECEWORK_BLOBS=azblob://piecework?domain=" + blobs + "&protocol=http&localemu=true",
		"AZURE_STORAGE_ACCOUNT=" + servers.AzuriteAccount, "AZURE_STORAGE_KEY=" + servers.AzuriteKey,
	}, ""}
}

// start takes the time from the start of the program to its first answer.
func (c container) start(t *testing.T) time.Duration {
	t.Helper()
	n := port.Free(t)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.program, c.args...)
	var log strings.Builder
	cmd.Stderr, cmd.Stdout = &log, &log
	cmd.Env = append([]string{"PORT=" + strconv.Itoa(n), "PIECEWORK_ADDR=" + port.Address(n), "PATH=" + os.Getenv("PATH")}, c.vars...)
	begun := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	}()
	for !answers(ctx, "http://"+port.Address(n)+c.path) {
		if ctx.Err() != nil {
			t.Fatalf("%s does not answer", c.what)
		}
		<-time.After(500 * time.Microsecond)
	}
	return time.Since(begun)
}

// answers asks once, on a connection of its own.
func answers(ctx context.Context, url string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	return resp.Body.Close() == nil && resp.StatusCode == http.StatusOK
}
