package sqlite

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/infra/drivers"
)

// What is said of a file is not said of a server.
func TestRemediesOfServers(t *testing.T) {
	a, err := drivers.ParseAddress("postgres://me@127.0.0.1/db")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		err  error
		want string
	}{
		{&pgconn.PgError{Code: "53300", Message: "too many connections"}, ""},
		{&pgconn.PgError{Code: diskFull}, "the disk is full"},
		{&pgconn.PgError{Code: readOnly, Message: "cannot execute CREATE TABLE in a read-only transaction"}, "as a standby does"},
		{fmt.Errorf("root.crt: %w", os.ErrPermission), ""},
	} {
		if got := remedy(a, c.err); !strings.HasPrefix(got, c.want) && !strings.Contains(got, c.want) || c.want == "" && got != "" {
			t.Errorf("remedy of %v: %q, want %q", c.err, got, c.want)
		}
	}
}

// This driver alone opens no server, and says which driver does.
func TestPostgreSQLNeedsItsOwnDriver(t *testing.T) {
	_, _, err := drivers.New(Register).OpenStore(t.Context(), "postgres://me@127.0.0.1/db")
	if want := "sql.Register of package infra/drivers/sql"; !errors.Is(err, functions.ErrConfig) || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want an ErrConfig that says %s", err, want)
	}
}
