package servers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"
)

// Rabbit is a RabbitMQ server, the real one, with a name server of its own.
type Rabbit struct {
	*Process

	URL string
}

const rabbitServer = "/usr/lib/rabbitmq/bin/rabbitmq-server"

// StartRabbit starts the server of Debian's package rabbitmq-server.
func StartRabbit(tb testing.TB) Rabbit {
	tb.Helper()
	if _, err := os.Stat(rabbitServer); err != nil {
		Unavailable(tb, "RabbitMQ", errors.New("the package rabbitmq-server is not installed"))
	}
	epmd, err := exec.LookPath("epmd")
	if err != nil {
		Unavailable(tb, "RabbitMQ", err)
	}
	dir, names, port, inner := tb.TempDir(), freePort(tb), freePort(tb), freePort(tb)
	// Erlang would start one that outlives the test.
	run(tb, &Process{
		name: "epmd", ready: listens(address(names)),
		args: []string{epmd, "-address", "127.0.0.1", "-port", fmt.Sprint(names)},
	})
	config := filepath.Join(dir, "rabbitmq.conf")
	text := fmt.Sprintf("listeners.tcp.1 = %s\ndistribution.listener.interface = 127.0.0.1\n", address(port))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	url := "amqp://guest:guest@" + address(port) + "/"
	return Rabbit{URL: url, Process: run(tb, &Process{
		name: "rabbitmq-server", args: []string{rabbitServer},
		env: []string{
			"HOME=" + dir, "RABBITMQ_NODENAME=piecework" + fmt.Sprint(port) + "@localhost", "RABBITMQ_MNESIA_BASE=" + filepath.Join(dir, "data"),
			"RABBITMQ_LOG_BASE=" + filepath.Join(dir, "log"), "RABBITMQ_CONFIG_FILE=" + config, "RABBITMQ_ENABLED_PLUGINS_FILE=" + filepath.Join(dir, "plugins"),
			"RABBITMQ_DIST_PORT=" + fmt.Sprint(inner), "ERL_EPMD_ADDRESS=127.0.0.1", "ERL_EPMD_PORT=" + fmt.Sprint(names),
		},
		ready: func(context.Context) error {
			conn, err := amqp.Dial(url)
			if err != nil {
				return err
			}
			return conn.Close()
		},
	})}
}
