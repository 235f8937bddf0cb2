// Command ferretdb serves MongoDB's protocol with FerretDB over PostgreSQL, one command at a time.
//
//	ferretdb -listen 127.0.0.1:27017 -postgres postgres://... -dir DIRECTORY
//
// FerretDB compares and sets in two steps, so that of several writers who hold the same revision more than one may
// succeed. MongoDB does it in one. Passing one command at a time to FerretDB makes it do so too.
//
// FerretDB also reads every document for almost any question, and would take minutes for what MongoDB does in seconds.
// PostgreSQL is given the indexes that FerretDB's questions can use, in index.go, and a question for a list of ids is
// asked id by id, in find.go. Many updates at once, for which it would wait forever, are asked for in turn, in update.go.
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"

	"github.com/FerretDB/FerretDB/ferretdb"
	"github.com/FerretDB/wire/wirebson"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:27017", "where to listen")
	postgres := flag.String("postgres", "", "URL of the PostgreSQL database to keep the data in")
	dir := flag.String("dir", ".", "where to put a socket")
	flag.Parse()
	if err := serve(context.Background(), *listen, *postgres, *dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(ctx context.Context, listen, postgres, dir string) error {
	socket := filepath.Join(dir, "ferretdb.sock")
	db, err := ferretdb.New(&ferretdb.Config{
		Listener: ferretdb.ListenerConfig{Unix: socket}, Handler: "postgresql", PostgreSQLURL: postgres,
	})
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- db.Run(ctx) }()
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", listen)
	if err != nil {
		return err
	}
	p := &proxy{socket: socket, postgres: postgres}
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				ended <- err
				return
			}
			go p.forward(ctx, client)
		}
	}()
	return <-ended
}

// proxy passes commands on, each in its turn with its reply.
type proxy struct {
	socket, postgres string

	turn sync.Mutex
}

// forward passes a client's commands on.
func (p *proxy) forward(ctx context.Context, client net.Conn) {
	defer client.Close()
	server, err := new(net.Dialer).DialContext(ctx, "unix", p.socket)
	if err != nil {
		return
	}
	defer server.Close()
	for {
		command, err := readMessage(client)
		if err != nil {
			return
		}
		reply, err := p.answer(ctx, server, command)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return
		}
		if _, err := client.Write(reply); err != nil {
			return
		}
	}
}

// answer has a command answered.
func (p *proxy) answer(ctx context.Context, server net.Conn, command message) (message, error) {
	p.turn.Lock()
	defer p.turn.Unlock()
	doc := command.document()
	switch doc.Command() {
	case "find":
		if ids := listed(doc); ids != nil && ids.Len() > 0 {
			return findEach(server, command, doc, ids)
		}
	case "update":
		if updates := list(doc.Get("updates")); updates != nil && updates.Len() > mostUpdates {
			return updateSome(server, command, doc, updates)
		}
	case "createIndexes":
		reply, err := ask(server, command)
		if err == nil {
			err = index(ctx, p.postgres, doc)
		}
		return reply, err
	}
	return ask(server, command)
}

// ask sends a command and returns the reply.
func ask(server net.Conn, command message) (message, error) {
	if _, err := server.Write(command); err != nil {
		return nil, err
	}
	return readMessage(server)
}

// askWith sends a command with another document and returns the reply.
func askWith(server net.Conn, command message, doc *wirebson.Document) (message, error) {
	other, err := command.with(doc)
	if err != nil {
		return nil, err
	}
	return ask(server, other)
}
