package servers

import (
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
)

// fauxqsApp starts the server by its library, since its command listens on all interfaces.
const fauxqsApp = `import { buildApp } from %q; ` +
	`await buildApp({ logger: false, host: "localhost", defaultRegion: "us-east-1" }).listen({ port: %d, host: "127.0.0.1" });`

// Fauxqs is an emulator of SQS and SNS, whose account is 000000000000. Any credentials will do.
//
// It differs from the real services: it delivers each message once where they may do so twice, keeps everything in
// memory, takes delays of more than 15 minutes, and drops later messages of a FIFO group.
type Fauxqs struct {
	*Process

	Host string // and port
}

// URL is the endpoint.
func (f Fauxqs) URL() string { return "http://" + f.Host }

// QueueHost is the host in the URLs of queues, as which the emulator knows them. It is nowhere; the endpoint is.
func (f Fauxqs) QueueHost() string {
	return "sqs.us-east-1.localhost" + strings.TrimPrefix(f.Host, "127.0.0.1")
}

// StartFauxqs starts an emulator of SQS and SNS.
func StartFauxqs(tb testing.TB) Fauxqs {
	tb.Helper()
	port := freePort(tb)
	app := url.URL{Scheme: "file", Path: filepath.ToSlash(filepath.Join(npm(tb, "fauxqs"), "dist", "app.js"))}
	return Fauxqs{Host: address(port), Process: run(tb, &Process{
		name: "fauxqs", ready: listens(address(port)),
		args: []string{"node", "--input-type=module", "-e", fmt.Sprintf(fauxqsApp, app.String(), port)},
	})}
}
