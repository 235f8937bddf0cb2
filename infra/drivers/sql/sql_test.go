package sql_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/infra/drivers/sql"
)

func TestWrongURLsAreRefusedAsConfiguration(t *testing.T) {
	for url, want := range map[string]string{
		"sqlite:///tmp/a.db?tabel=x":            `did you mean "table"?`,
		"sqlite://":                             "no file name",
		"sqlite:///tmp/a.db?index=x":            "the layout of the records is fixed",
		"postgres://h/db?sslmode=maybe":         "sslmode",
		"postgres:/me:hunter2@h/db":             "such as postgres://USER@HOST/DATABASE",
		"postgres://me:hunter2/x@h/db":          "%2F",
		"postgres://me:hunter2#x@h/db":          "%2F",
		"postgres://me@h/db?password=hunter2&x": "unknown parameter",
	} {
		_, _, err := drivers.New(sql.Register).OpenStore(t.Context(), url)
		if !errors.Is(err, functions.ErrConfig) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want %q", url, err, want)
		}
		p, err := drivers.New(sql.Register).Provisioner(url)
		if err == nil {
			err = p.Apply(t.Context())
		}
		if !errors.Is(err, functions.ErrConfig) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("init: %s: %v", url, err)
		}
	}
}

func TestAServerThatIsAwayIsNoMistakeOfTheConfiguration(t *testing.T) {
	_, _, err := drivers.New(sql.Register).OpenStore(t.Context(), "postgres://me:hunter2@127.0.0.1:1/db?connect_timeout=5")
	if err == nil || errors.Is(err, functions.ErrConfig) || strings.Contains(err.Error(), "hunter2") {
		t.Error(err)
	}
}
