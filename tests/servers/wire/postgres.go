package wire

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// PostgreSQL starts a proxy before a PostgreSQL server, whose URL it takes and gives. Statements are counted by the
// command that the server says it has done, such as INSERT or COMMIT, and items are its rows.
func PostgreSQL(tb testing.TB, server string) *Proxy {
	tb.Helper()
	config, err := pgx.ParseConfig(server)
	if err != nil {
		tb.Fatal(err)
	}
	network, address := "tcp", net.JoinHostPort(config.Host, strconv.Itoa(int(config.Port)))
	if strings.HasPrefix(config.Host, "/") {
		network, address = "unix", fmt.Sprintf("%s/.s.PGSQL.%d", config.Host, config.Port)
	}
	l, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = l.Close() })
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(config.User, config.Password), Host: l.Addr().String(), Path: "/" + config.Database,
		RawQuery: "sslmode=disable",
	}
	p := &Proxy{URL: u.String()}
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return // closed
			}
			go func() {
				defer client.Close()
				behind, err := new(net.Dialer).DialContext(tb.Context(), network, address)
				if err != nil {
					return
				}
				defer behind.Close()
				go func() {
					_, _ = io.Copy(behind, client)
					_ = behind.Close()
				}()
				_ = p.postgres(client, behind) // the client sees that the connection is gone
			}()
		}
	}()
	return p
}

// postgres passes on what the server says, and counts what it has done.
func (p *Proxy) postgres(client io.Writer, behind io.Reader) error {
	for {
		var head [5]byte
		if _, err := io.ReadFull(behind, head[:]); err != nil {
			return err
		}
		n := int(binary.BigEndian.Uint32(head[1:])) - 4
		if n < 0 || n > 64<<20 {
			return fmt.Errorf("a message of %d bytes", n)
		}
		body := make([]byte, n)
		if _, err := io.ReadFull(behind, body); err != nil {
			return err
		}
		if head[0] == 'C' { // CommandComplete: "UPDATE 1", "INSERT 0 1", "COMMIT"
			words := strings.Fields(strings.TrimRight(string(body), "\x00"))
			if len(words) > 0 {
				rows, _ := strconv.Atoi(words[len(words)-1]) // none of a command without rows
				p.add(words[0], Count{Calls: 1, Items: rows})
			}
		}
		if _, err := client.Write(slices.Concat(head[:], body)); err != nil {
			return err
		}
	}
}
