// Command ferretdb serves MongoDB's protocol with FerretDB over SQLite, one command at a time.
//
//	ferretdb -listen 127.0.0.1:27017 -dir DIRECTORY
//
// FerretDB compares and sets in two steps, so that of several writers who hold the same revision more than one may
// succeed. MongoDB does it in one. Passing one command at a time to FerretDB makes it do so too.
package main

import (
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"

	"github.com/FerretDB/FerretDB/ferretdb"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:27017", "where to listen")
	dir := flag.String("dir", ".", "where to keep the data")
	flag.Parse()
	if err := serve(context.Background(), *listen, *dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(ctx context.Context, listen, dir string) error {
	socket := filepath.Join(dir, "ferretdb.sock")
	db, err := ferretdb.New(&ferretdb.Config{
		Listener: ferretdb.ListenerConfig{Unix: socket}, Handler: "sqlite", SQLiteURL: "file:" + dir + "/",
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
	var turn sync.Mutex
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				ended <- err
				return
			}
			go forward(ctx, client, socket, &turn)
		}
	}()
	return <-ended
}

// forward passes a client's commands on, each in its turn with its reply.
func forward(ctx context.Context, client net.Conn, socket string, turn *sync.Mutex) {
	defer client.Close()
	server, err := new(net.Dialer).DialContext(ctx, "unix", socket)
	if err != nil {
		return
	}
	defer server.Close()
	for {
		command, err := message(client)
		if err != nil {
			return
		}
		reply, err := ask(server, command, turn)
		if err != nil {
			return
		}
		if _, err := client.Write(reply); err != nil {
			return
		}
	}
}

func ask(server net.Conn, command []byte, turn *sync.Mutex) ([]byte, error) {
	turn.Lock()
	defer turn.Unlock()
	if _, err := server.Write(command); err != nil {
		return nil, err
	}
	return message(server)
}

// message reads one message: its length, itself included, comes first.
func message(r io.Reader) ([]byte, error) {
	head := make([]byte, 4)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint32(head)
	if n < 16 || n > 64<<20 {
		return nil, fmt.Errorf("a message of %d bytes", n)
	}
	all := make([]byte, n)
	copy(all, head)
	_, err := io.ReadFull(r, all[4:])
	return all, err
}
