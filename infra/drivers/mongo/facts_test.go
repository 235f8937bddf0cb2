package mongo

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/mongo"
)

func TestWhatMustBeGranted(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{
			fmt.Errorf("x: %w", mongo.CommandError{Code: 13, Message: `not authorized on jobs to execute command { find: "records", filter: {} }`}),
			"grant this process's user the role readWrite on database jobs, or one that may find there",
		},
		{mongo.CommandError{Code: 13, Message: "Unauthorized"}, "grant this process's user the role readWrite on the database"},
		{mongo.CommandError{Code: 11000}, ""},
		{errors.New("not authorized on jobs to execute command { find: 1 }, says a proxy"), ""},
	} {
		if got := denied(c.err); got != c.want {
			t.Errorf("%v: %q, want %q", c.err, got, c.want)
		}
	}
}

func TestMissingIndexes(t *testing.T) {
	on := func(fields ...string) existing {
		e := existing{Name: strings.Join(fields, "_")}
		for _, f := range fields {
			e.Key = append(e.Key, bson.E{Key: f, Value: 1})
		}
		return e
	}
	wanted := (&indexes{mustParse(t, "mongodb://h/db?ttl=true")}).list()
	id, due, list, fail := on("_id"), on("due_pk", "due_sk"), on("list_pk", "list_sk"), on("fail_pk", "fail_sk")
	for _, c := range []struct {
		there []existing
		want  string // "": none is missing
	}{
		{[]existing{id, due, list, fail}, ""},
		{[]existing{due, on("list_pk", "list_sk", "data"), fail}, ""},
		{[]existing{id}, "missing: due (due_pk, due_sk), list (list_pk, list_sk), fail (fail_pk, fail_sk)"},
		{[]existing{on("due_pk"), on("list_sk", "list_pk"), fail}, "missing: due (due_pk, due_sk), list (list_pk, list_sk)"},
		{nil, "missing: due"},
	} {
		r := missing(wanted, c.there)
		if (c.want == "") != (r.Remedy == "") || r.Fatal != (c.want != "") || !strings.Contains(r.Why, c.want) {
			t.Errorf("%+v, want %q", r, c.want)
		}
	}
	cosmos := (&indexes{mustParse(t, "mongodb://h/db?cosmos=ru")}).list()
	if r := missing(cosmos, []existing{due, list, fail}); !strings.Contains(r.Why, "missing: due_order (due_sk)") {
		t.Errorf("%+v", r)
	}
	if r := missing(cosmos, []existing{due, list, fail, on("$**")}); r.Fatal {
		t.Errorf("%+v", r)
	}
}
