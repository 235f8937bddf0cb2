package opcount

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"

	"gocloud.dev/docstore"

	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/infra/drivers/aws"
	"github.com/piecework/piecework/infra/drivers/gcp"
	"github.com/piecework/piecework/infra/drivers/mem"
	"github.com/piecework/piecework/infra/drivers/mongo"
	"github.com/piecework/piecework/infra/drivers/sql"
	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/tests/conformance"
	"github.com/piecework/piecework/tests/postgres"
	"github.com/piecework/piecework/tests/servers"
	"github.com/piecework/piecework/tests/servers/wire"
)

var update = flag.Bool("update", false, "write the golden files anew")

// native are the forms in which stores that delete by themselves want to know when.
var native = map[string]store.TTL{"DynamoDB": store.TTLSeconds, "MongoDB": store.TTLTime, "Firestore": store.TTLTime}

// stores open each store, behind a proxy if it has a protocol.
var stores = map[string]func(t *testing.T) (*docstore.Collection, *wire.Proxy){
	"DynamoDB": func(t *testing.T) (*docstore.Collection, *wire.Proxy) {
		servers.FakeAWS(t)
		p := wire.DynamoDB(t, servers.DynamoDB(t), wire.Options{})
		return conformance.NewStore(t, drivers.New(aws.Register), "dynamodb://jobs?region=us-east-1&endpoint="+p.URL)(t), p
	},
	"MongoDB": func(t *testing.T) (*docstore.Collection, *wire.Proxy) {
		p := wire.MongoDB(t, servers.MongoDB(t), wire.Options{})
		return conformance.NewStore(t, drivers.New(mongo.Register), p.URL+"/piecework")(t), p
	},
	"Firestore": func(t *testing.T) (*docstore.Collection, *wire.Proxy) {
		p := wire.Firestore(t, servers.Firestore(t), wire.Options{})
		t.Setenv("FIRESTORE_EMULATOR_HOST", p.URL)
		return conformance.StoreOf(drivers.New(gcp.Register), "firestore://piecework-test/jobs")(t), p
	},
	"PostgreSQL": func(t *testing.T) (*docstore.Collection, *wire.Proxy) {
		p := wire.PostgreSQL(t, postgres.Start(t))
		return conformance.NewStore(t, drivers.New(sql.Register), p.URL)(t), p
	},
	"SQLite": func(t *testing.T) (*docstore.Collection, *wire.Proxy) {
		return conformance.NewStore(t, drivers.New(sql.Register), "sqlite://"+filepath.Join(t.TempDir(), "jobs.db"))(t), nil
	},
	"memory": func(t *testing.T) (*docstore.Collection, *wire.Proxy) {
		coll, err := mem.OpenCollection()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = coll.Close() })
		return coll, nil
	},
}

func golden(name string) string {
	return filepath.Join("testdata", strings.ToLower(name)+".json")
}

// load reads what was measured of a store.
func load(t *testing.T, name string) map[string]Measured {
	t.Helper()
	data, err := os.ReadFile(golden(name))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]Measured{}
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// Each store is asked for no more than the design promises, and for the same as when the costs were worked out.
func TestCounts(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(stores)) {
		t.Run(name, func(t *testing.T) { count(t, name, name, store.TTLNone) })
		if ttl := native[name]; ttl != store.TTLNone {
			t.Run(name+" with its own expiry", func(t *testing.T) { count(t, name, name+"-ttl", ttl) })
		}
	}
}

// count measures a store and compares that with the golden file of that name.
func count(t *testing.T, name, file string, ttl store.TTL) {
	t.Helper()
	coll, proxy := stores[name](t)
	b, err := newBench(coll, ttl)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}()
	var take func() wire.Counts
	if proxy != nil {
		take = proxy.Take
	}
	all, err := measure(t.Context(), b, ttl, take)
	if err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + table(all))
	check(t, file, all)
	got, err := json.MarshalIndent(all, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	if *update {
		if err := os.WriteFile(golden(file), got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(golden(file)); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%v; the counts changed; if that is meant, run go test ./opcount -update\n%s\nwas\n%s", err, got, want)
	}
}

// check holds what was measured to the design.
func check(t *testing.T, name string, all map[string]Measured) {
	t.Helper()
	for path, most := range limits {
		m, ok := all[path]
		c := m.Driver
		if !ok || c.Reads > most.Reads || c.Writes > most.Writes || c.Due > most.Due || c.List > most.List || c.Fail > most.Fail ||
			c.Queries > most.Queries || c.Found > most.Found || c.Messages > most.Messages {
			t.Errorf("%s: %s costs %s; the design allows %s", name, path, c, most)
		}
	}
	plain, many := all[pathPlain].Wire, all[pathBatch].Wire
	switch name {
	case "DynamoDB", "DynamoDB-ttl":
		// Three writes of 1 KB; the entries of due and list are made; claims and heartbeats change none; at the end the
		// entry of due goes, or moves to the end of the retention, which is two, if sweep is to remove the record.
		indexes := 4.0
		if name == "DynamoDB-ttl" {
			indexes = 3
		}
		writes := plain.Sum("PutItem", "UpdateItem", "DeleteItem")
		if writes.Calls != 3 || writes.IndexUnits != indexes || writes.WriteUnits != 3+indexes || plain.All().ReadUnits > 1 {
			t.Errorf("a plain job takes %+v, want 3 writes, %g units for indexes, and 1 read", plain, indexes)
		}
	case "Firestore", "Firestore-ttl":
		if w, r := plain["Commit"], plain["BatchGetDocuments"]; w.Items != 3 || r.Items != 1 {
			t.Errorf("a plain job takes %v, want 3 writes and 1 read", plain)
		}
	case "MongoDB", "MongoDB-ttl":
		if plain.Sum("insert", "update").Items != 3 || plain["find"].Items != 1 || many["insert"].Calls != 10 {
			t.Errorf("a plain job takes %v, want 3 writes and 1 read; 1,000 take %v, want 10 inserts", plain, many)
		}
	case "PostgreSQL":
		if plain.Sum("INSERT", "UPDATE").Items != 3 || plain["SELECT"].Items != 1 {
			t.Errorf("a plain job takes %v, want 3 rows written and 1 read", plain)
		}
	}
	if store.DuePartitions != 20 {
		t.Errorf("the due index has %d partitions; infra/COSTS.md speaks of 20", store.DuePartitions)
	}
}

// table prints what was measured of a store.
func table(all map[string]Measured) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "path\tat the driver\ton the wire: operation requests/documents\tunits read/written, of it for indexes")
	for _, p := range paths {
		m := all[p.name]
		sum := m.Wire.All()
		fmt.Fprintf(w, "%s\t%v\t%v\t%g/%g, %g\n", p.name, m.Driver, m.Wire, sum.ReadUnits, sum.WriteUnits, sum.IndexUnits)
	}
	_ = w.Flush() // into memory
	return b.String()
}
