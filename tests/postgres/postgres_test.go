package postgres

import (
	"testing"

	"github.com/jackc/pgx/v5"
)

func TestStart(t *testing.T) {
	a, b := Start(t), Start(t)
	if a == b {
		t.Fatalf("two tests share the database %s", a)
	}
	conn, err := pgx.Connect(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var one int
	if err := conn.QueryRow(t.Context(), "SELECT 1").Scan(&one); err != nil || one != 1 {
		t.Fatalf("got %d, %v; want 1", one, err)
	}
}

func TestServerKeepsItsDataWhenStopped(t *testing.T) {
	s := StartServer(t)
	ctx := t.Context()
	if err := execute(ctx, s.URL(), "CREATE TABLE kept (i int)"); err != nil {
		t.Fatal(err)
	}
	s.Stop()
	if err := execute(ctx, s.URL(), "SELECT 1"); err == nil {
		t.Fatal("a stopped server answers")
	}
	if err := s.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if err := execute(ctx, s.URL(), "INSERT INTO kept VALUES (1)"); err != nil {
		t.Fatal(err)
	}
}
