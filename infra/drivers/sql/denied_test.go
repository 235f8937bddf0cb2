package sql

import (
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

func TestWhatMustBeGranted(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{fmt.Errorf("x: %w", &pgconn.PgError{Code: "42501", TableName: "piecework"}), "GRANT SELECT, INSERT, UPDATE, DELETE ON piecework to this process's user"},
		{&pgconn.PgError{Code: "42501"}, "GRANT SELECT, INSERT, UPDATE, DELETE on the table to this process's user, and CREATE on the schema to who runs init"},
		{&pgconn.PgError{Code: "23505"}, ""},
		{errors.New("permission denied"), ""},
	} {
		if got := denied(c.err); got != c.want {
			t.Errorf("%v: %q, want %q", c.err, got, c.want)
		}
	}
}
