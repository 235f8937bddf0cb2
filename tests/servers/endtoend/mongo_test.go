package endtoend

import (
	"path/filepath"
	"testing"

	"github.com/piecework/piecework/tests/servers"
)

func TestMongoDBWithRabbitMQAndFiles(t *testing.T) {
	r := servers.StartRabbit(t)
	run(t, combination{
		store: servers.MongoDB(t) + "/piecework", queues: r.URL + "?queue=piecework.{queue}",
		blobs:     "file://" + filepath.ToSlash(filepath.Join(t.TempDir(), "blobs")),
		stopQueue: r.Stop, startQueue: func(t *testing.T) {
			t.Helper()
			if err := r.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
		},
	})
}
