package sql

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/infra/drivers"
)

func TestWrongURLsAreRefusedAsConfiguration(t *testing.T) {
	for url, want := range map[string]string{
		"sqlite:///tmp/a.db?tabel=x":             `did you mean "table"?`,
		"sqlite://":                              "no file name",
		"sqlite:///tmp/a.db?index=x":             "the layout of the records is fixed",
		"postgres://h/db?sslmode=maybe":          "sslmode",
		"postgres://h/db?pool_max_conns=0":       "pool_max_conns",
		"postgres://h/db?target_session_attrs=x": "target_session_attrs",
		"postgres://me:hunter2@h:99999999/db":    "port",
		"postgres:/me:hunter2@h/db":              "such as postgres://USER@HOST/DATABASE",
		"postgres://me:hunter2/x@h/db":           "%2F",
		"postgres://me:hunter2#x@h/db":           "%2F",
		"postgres://me@h/db?password=hunter2&x":  "unknown parameter",
	} {
		_, _, err := drivers.New(Register).OpenStore(t.Context(), url)
		if !errors.Is(err, functions.ErrConfig) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want %q", url, err, want)
		}
		p, err := drivers.New(Register).Provisioner(drivers.Config{Store: url})
		if err == nil {
			err = p.Apply(t.Context())
		}
		if !errors.Is(err, functions.ErrConfig) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("init: %s: %v", url, err)
		}
	}
}

func TestAServerThatIsAwayIsNoMistakeOfTheConfiguration(t *testing.T) {
	_, _, err := drivers.New(Register).OpenStore(t.Context(), "postgres://me:hunter2@127.0.0.1:1/db?connect_timeout=5")
	if err == nil || !strings.Contains(err.Error(), "check the address, and that the server runs") || errors.Is(err, functions.ErrConfig) || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("error %v, want what to do, no ErrConfig and no password", err)
	}
}

func TestAFileThatCannotBeOpened(t *testing.T) {
	dir := t.TempDir()
	damaged := filepath.Join(dir, "damaged.db")
	if err := os.WriteFile(damaged, bytes.Repeat([]byte("no database"), 100), 0o600); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		damaged:                            "restore it from a backup",
		filepath.Join(dir, "none", "x.db"): "there is no such directory: make it",
		dir:                                "that is a directory: name a file",
	} {
		url := "sqlite://" + filepath.ToSlash(file)
		_, _, err := drivers.New(Register).OpenStore(t.Context(), url)
		if err == nil || !strings.HasPrefix(err.Error(), "open store "+url+": ") || strings.Count(err.Error(), want) != 1 {
			t.Errorf("error %v, want it to begin with \"open store %s: \" and to say once %q", err, url, want)
		}
	}
}

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
