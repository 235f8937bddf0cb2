package proof

import (
	"bytes"
	"io"
	"testing"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/httpapi/apiclient"
	"github.com/piecework/piecework/functions/httpapi/wire"
	"github.com/piecework/piecework/tests/servers/lambda/runtimeapi"
)

// The HTTP API answers in one piece and by streaming alike, but a file of more than 6 MB only by streaming.
func TestAnswersOfTheAPI(t *testing.T) {
	c := newCloud(t)
	execute := c.deploy("execute", runtimeapi.Config{Timeout: 30 * time.Second})
	c.feed("files", execute, 2)
	piece := c.ask(c.deploy("api", runtimeapi.Config{Timeout: 20 * time.Second}, "PIECEWORK_TOKENS=operator:"+token), false)
	stream := c.ask(c.deploy("api", runtimeapi.Config{Timeout: 20 * time.Second}, "PIECEWORK_TOKENS=operator:"+token, "PIECEWORK_STREAM=true"), true)
	for name, client := range map[string]*apiclient.Client{"one piece": piece, "stream": stream} {
		if _, err := client.Health(t.Context()); err != nil {
			t.Errorf("%s: health: %v", name, err)
		}
		r, err := client.Submit(t.Context(), wire.Submit{Kind: Large, Args: []byte(`{"number":7}`)})
		if err != nil {
			t.Fatalf("%s: submit: %v", name, err)
		}
		info, err := client.Wait(t.Context(), r.ID, nil)
		if err != nil || info.State != "succeeded" {
			t.Fatalf(`got %s: %v, %+v, want no error && info.State == "succeeded"`, name, err, info)
		}
		outputs, err := client.Outputs(t.Context(), r.ID)
		if err != nil || len(outputs) != 1 || outputs[0].Size != LargeSize {
			t.Fatalf("%s: outputs: %v, %+v", name, err, outputs)
		}
		err = compare(t, client, info)
		if (err == nil) != (client == stream) {
			t.Errorf("%s: reading %d bytes: %v", name, LargeSize, err)
		}
		t.Logf("%s: reading %d bytes: %v", name, LargeSize, err)
	}
	anonymous, err := apiclient.New(piece.URL(), &apiclient.Options{Token: "not-a-token-of-this-function-012345"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := anonymous.Submit(t.Context(), wire.Submit{Kind: Large}); err == nil {
		t.Error("somebody submits without a token that is known")
	}
}

// compare reads the file of a job to its end.
func compare(t *testing.T, client *apiclient.Client, info functions.Info) error {
	t.Helper()
	r, _, err := client.OpenOutput(t.Context(), info.ID, "large.bin", 0)
	if err != nil {
		return err
	}
	defer r.Close()
	part := make([]byte, 1<<20)
	for i := range LargeSize >> 20 {
		if _, err := io.ReadFull(r, part); err != nil {
			return err
		}
		if !bytes.Equal(part, LargePart(7, i)) {
			t.Errorf("megabyte %d is not what was written", i)
		}
	}
	_, err = r.Read(part)
	if err == io.EOF { //nolint:errorlint // OpenOutput promises io.EOF itself
		return nil
	}
	return err
}
