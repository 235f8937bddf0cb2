package sqldocstore

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gocloud.dev/docstore"
	"gocloud.dev/gcerrors"

	client "github.com/piecework/piecework/store/sqldocstore/postgres"
)

func TestURLs(t *testing.T) {
	t.Chdir(t.TempDir())
	abs := filepath.Join(t.TempDir(), "with space #1.db")
	for url, file := range map[string]string{
		"sqlite://" + strings.NewReplacer(" ", "%20", "#", "%23").Replace(abs): abs,
		"sqlite://rel.db":      "rel.db",
		"sqlite:other%3F.db":   "other?.db",
		"sqlite://./third.db":  "third.db",
		"sqlite::memory:":      "",
		"sqlite:q.db?table=t1": "q.db",
		"sqlite:c.db?column=s:text&column=n:int&index=s,n&index=n&id_field=key&revision_field=r": "c.db",
		"sqlite:f.db?synchronous=normal&busy_timeout=1s&max_batch=10&create=true":                "f.db",
	} {
		coll, err := Open(t.Context(), url, nil)
		if err != nil {
			t.Errorf("got %s: %v, want no error", url, err)
			continue
		}
		coll.Close()
		if _, err := os.Stat(file); file != "" && err != nil {
			t.Errorf(`os.Stat: got %s: %v, want (file == "" || no error)`, url, err)
		}
	}
}

func TestBadURLs(t *testing.T) {
	for url, want := range map[string]string{
		"sqlite:a.db?tabel=x":                     `did you mean "table"`,
		"sqlite:a.db?sslmode=disable":             `unknown parameter "sslmode"`,
		"postgres://h/db?sslmod=x":                `did you mean "sslmode"`,
		"postgres://h/db?indexes=x":               `did you mean "index"`,
		"sqlite:a.db?table=a&table=b":             "given 2 times",
		"sqlite:a.db?table=a%20b":                 "not a plain identifier",
		"sqlite:a.db?column=x":                    "want name:type",
		"sqlite:a.db?column=x:json":               "want text, bytes or int",
		"sqlite:a.db?column=doc:text":             "is taken",
		"sqlite:a.db?column=a:text&column=A:text": "is taken",
		"sqlite:a.db?column=id:text":              "have columns already",
		"sqlite:a.db?index=x":                     `no column "x"`,
		"sqlite:a.db?busy_timeout=soon":           "busy_timeout",
		"sqlite:a.db?synchronous=maybe":           "want full",
		"sqlite:a.db?max_batch=-1":                "positive",
		"sqlite:a.db?create=false":                "no such table",
		"sqlite://":                               "no file name",
		"mysql://h/db":                            `scheme "mysql"`,
		"sqlite:a.db?foo=x":                       `known are busy_timeout, column,`,
		"postgres://me:secret@h:port/db":          "cannot be parsed",
		"postgres://me:secret/secret@h/db":        "%2F",
		"postgres://me:secret?secret@h/db":        "%2F",
		"postgres://me:9?secret@h/db":             "%2F",
		"postgres://me:secret#secret@h/db":        "%2F",
		"postgres://me:secret%secret@h/db":        "%2F",
		"postgres:/me:secret@h/db":                "not one of PostgreSQL",
		"postgres:me:secret@h/db":                 "not one of PostgreSQL",
	} {
		t.Run(url, func(t *testing.T) {
			t.Chdir(t.TempDir())
			_, err := Open(t.Context(), url, &Options{Postgres: NewPostgres(client.Connect)})
			if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
				t.Fatalf("got %v, want %s", err, want)
			}
			if code := ErrorCode(err); want != "no such table" && code != gcerrors.InvalidArgument {
				t.Errorf("%v has the code %v", err, code)
			}
		})
	}
}

// A program that does not pass the client of PostgreSQL does not link it, and says so.
func TestWithoutAClientOfPostgreSQL(t *testing.T) {
	_, err := Open(t.Context(), "postgres://me@127.0.0.1:1/db", nil)
	if want := "set Options.Postgres"; ErrorCode(err) != gcerrors.InvalidArgument || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want one that says %s", err, want)
	}
}

func TestErrorsShowNoParameters(t *testing.T) {
	_, err := Open(t.Context(), "postgres://me@127.0.0.1:1/db?password=secret&connect_timeout=5", &Options{Postgres: NewPostgres(client.Connect)})
	if !errors.Is(err, ErrUnavailable) || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), "postgres://127.0.0.1:1/db") {
		t.Error(err)
	}
}

func TestMux(t *testing.T) {
	mux := new(docstore.URLMux)
	(&URLOpener{Options: Options{RevisionField: "rev"}}).RegisterOn(mux)
	coll, err := mux.OpenCollection(t.Context(), "sqlite::memory:?column=due_pk:text")
	must(t, err)
	defer coll.Close()
	d := docmap{"id": "a", "rev": nil, "due_pk": "x"}
	must(t, coll.Create(t.Context(), d))
	wantCode(t, coll.Create(t.Context(), docmap{"id": "a", "rev": nil}), gcerrors.AlreadyExists)
	s, err := coll.RevisionToString(d["rev"])
	must(t, err)
	rev, err := coll.StringToRevision(s)
	must(t, err)
	if rev != d["rev"] {
		t.Fatalf("got %v, want %v", rev, d["rev"])
	}
}

// TestSchemaSuffices: a table made with Schema's SQL can be opened with NoCreate.
func TestSchemaSuffices(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.db")
	o := jobOptions()
	text, err := Schema(SQLite, &o)
	must(t, err)
	made := mustOpen(t, "sqlite://"+file, Options{Table: "other"})
	for stmt := range strings.SplitSeq(strings.TrimSuffix(text, ";\n"), ";\n") {
		_, err := made.db.(*sqliteDB).writer.exec(stmt)
		must(t, err)
	}
	must(t, made.Close())
	o.NoCreate = true
	coll := docstore.NewCollection(mustOpen(t, "sqlite://"+file, o))
	defer coll.Close()
	must(t, coll.Create(t.Context(), newJob(1)))
	if text, err := Schema(Postgres, &o); err != nil || !strings.Contains(text, `COLLATE "C"`) {
		t.Fatalf("got %s, %v", text, err)
	}
	if _, err := Schema("oracle", &o); gcerrors.Code(err) == gcerrors.OK {
		t.Fatal("no error for an unknown dialect")
	}
}
