package mongo

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/mongo"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/infra/drivers"
)

func mustParse(t *testing.T, raw string) *place {
	t.Helper()
	a, err := drivers.ParseAddress(raw)
	if err != nil {
		t.Fatal(err)
	}
	p, err := parse(a)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestDefaultsAreDurable(t *testing.T) {
	p := mustParse(t, "mongodb://u:p%40@a:1,b:2/jobs?replicaSet=rs0&maxpoolsize=7")
	o := p.options
	if p.database != "jobs" || p.collection != "records" || p.service != mongoDB || len(o.Hosts) != 2 || *o.ReplicaSet != "rs0" ||
		*o.MaxPoolSize != 7 || o.Auth.Password != "p@" {
		t.Errorf("address %+v, options %+v; want database, collection, hosts, set, pool and password of the URL", p, o)
	}
	if o.WriteConcern.W != "majority" || !*o.WriteConcern.Journal || o.ReadConcern.Level != "majority" ||
		o.ReadPreference.Mode().String() != "primary" || *o.ServerSelectionTimeout != 5*time.Second {
		t.Errorf("write concern %+v, read concern %+v; want majority, journal and the primary", o.WriteConcern, o.ReadConcern)
	}
	p = mustParse(t, "mongodb://a/?w=1&readConcernLevel=local&collection=c&serverSelectionTimeoutMS=100")
	if o = p.options; o.WriteConcern.W != 1 || o.ReadConcern.Level != "local" || p.database != "piecework" || p.collection != "c" ||
		*o.ServerSelectionTimeout != 100*time.Millisecond {
		t.Errorf("address %+v, write concern %+v; want what the URL says", p, o.WriteConcern)
	}
}

// What the URL says of how a write is acknowledged is kept, and the rest stays durable.
func TestPartsOfAWriteConcern(t *testing.T) {
	for query, want := range map[string]struct {
		w       any
		journal string // "-": the server's default
		timeout time.Duration
	}{
		"":                           {"majority", "true", 0},
		"?journal=false":             {"majority", "false", 0},
		"?wtimeoutMS=5000":           {"majority", "true", 5 * time.Second},
		"?W=2":                       {2, "-", 0},
		"?w=majority&journal=false":  {"majority", "false", 0},
		"?w=dc-both&wtimeoutMS=1000": {"dc-both", "-", time.Second},
	} {
		have := mustParse(t, "mongodb://a/db"+query).options.WriteConcern
		journal := "-"
		if have.Journal != nil {
			journal = strconv.FormatBool(*have.Journal)
		}
		if have.W != want.w || journal != want.journal || have.WTimeout != want.timeout {
			t.Errorf("%s: w=%v, journal %s, timeout %v", query, have.W, journal, have.WTimeout)
		}
	}
}

func TestCosmosIsKnownByItsHost(t *testing.T) {
	p := mustParse(t, "mongodb://acct:a2V5@acct.mongo.cosmos.azure.com:10255/?ssl=true&replicaSet=globaldb&retrywrites=false&maxIdleTimeMS=120000&appName=@acct@")
	if o := p.options; p.service != cosmosRU || *o.RetryWrites || o.WriteConcern != nil || o.ReadConcern != nil || *o.AppName != "@acct@" || o.TLSConfig == nil {
		t.Errorf("address %+v, options %+v; want Cosmos DB's service with TLS and no retries of writes", p, o)
	}
	p = mustParse(t, "mongodb://u:p@c.mongocluster.cosmos.azure.com/?tls=true&authMechanism=SCRAM-SHA-256")
	if p.service != cosmosVCore || p.options.WriteConcern == nil {
		t.Errorf("got %+v, want p.service == cosmosVCore && p.options.WriteConcern != nil", p)
	}
	if p = mustParse(t, "mongodb://127.0.0.1:10255?cosmos=ru"); p.service != cosmosRU {
		t.Errorf("mustParse: got %+v, want p.service == cosmosRU", p)
	}
}

func TestURLsThatAreRefused(t *testing.T) {
	set := drivers.New(Register)
	for raw, want := range map[string]string{
		"mongodb:///db":                       "no host",
		"mongodb://h/db?replicaset=a&tlz=1":   `did you mean "tls"?`,
		"mongodb://h/db?colection=x":          `did you mean "collection"?`,
		"mongodb://h/db?readPreference=x":     "primary",
		"mongodb://h/db?cosmos=maybe":         "one of auto, no, ru, vcore",
		"mongodb://h/db?w=-1":                 "w",
		"mongodb://h/db?w=0":                  "acknowledged",
		"mongodb://h/db?w=0&cosmos=ru":        "acknowledged",
		"mongodb://h:x/db":                    "port",
		"mongodb://h/db?ttl=perhaps":          "true or false",
		"mongodb://h/db?ttl=true&cosmos=ru":   "sweep removes",
		"mongodb://h/db?readpreference=x&w=1": "readpreference",
	} {
		if _, _, err := set.OpenStore(t.Context(), raw); !errors.Is(err, functions.ErrConfig) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", raw, err, want)
		}
	}
}

func TestOpeningNeedsNoServer(t *testing.T) {
	_, closeStore, err := drivers.New(Register).OpenStore(t.Context(), "mongodb://127.0.0.1:1/db")
	if err != nil {
		t.Fatal(err)
	}
	if err := closeStore(); err != nil {
		t.Error(err)
	}
}

func TestIndexesAsAScript(t *testing.T) {
	for raw, want := range map[string]string{
		"mongodb://h/db?ttl=true": `db.getSiblingDB("db").getCollection("records").createIndex({due_pk: 1, due_sk: 1}, {name: "due", partialFilterExpression: {due_pk: {$exists: true}}})
db.getSiblingDB("db").getCollection("records").createIndex({list_pk: 1, list_sk: 1}, {name: "list", partialFilterExpression: {list_pk: {$exists: true}}})
db.getSiblingDB("db").getCollection("records").createIndex({fail_pk: 1, fail_sk: 1}, {name: "fail", partialFilterExpression: {fail_pk: {$exists: true}}})
db.getSiblingDB("db").getCollection("records").createIndex({expires: 1}, {name: "expires", expireAfterSeconds: 0})
`,
		"mongodb://h/db?cosmos=ru": `db.getSiblingDB("db").getCollection("records").createIndex({due_sk: 1}, {name: "due_order"})
db.getSiblingDB("db").getCollection("records").createIndex({due_pk: 1, due_sk: 1}, {name: "due"})
db.getSiblingDB("db").getCollection("records").createIndex({list_sk: 1}, {name: "list_order"})
db.getSiblingDB("db").getCollection("records").createIndex({list_pk: 1, list_sk: 1}, {name: "list"})
db.getSiblingDB("db").getCollection("records").createIndex({fail_sk: 1}, {name: "fail_order"})
db.getSiblingDB("db").getCollection("records").createIndex({fail_pk: 1, fail_sk: 1}, {name: "fail"})
`,
	} {
		p, err := drivers.New(Register).Provisioner(drivers.Config{Store: raw})
		if err != nil {
			t.Fatal(err)
		}
		if text, err := p.Print(); err != nil || text != want {
			t.Errorf("p.Print: got %s: %v\n%s, want no error && text == want", raw, err, text)
		}
	}
}

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
