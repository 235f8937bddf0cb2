package mongo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"

	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/store"
)

func provisioner(a *drivers.Address, _ bool) (drivers.Provisioner, error) {
	p, err := parse(a)
	if err != nil {
		return nil, err
	}
	return &indexes{p}, nil
}

// indexes are the collection's; the collection itself comes into being with them.
type indexes struct{ *place }

// index is one of them.
type index struct {
	name    string
	keys    []string
	partial string // only documents that have this field; "" for all
	expire  bool
}

// list returns the indexes of a service. MongoDB's are partial, so that the fields that most
// records lack cost nothing. Cosmos DB for RU has no partial indexes, and sorts only by a field
// that has an index of its own.
func (x *indexes) list() []index {
	var out []index
	for _, fields := range store.Indexes() {
		i := index{name: strings.TrimSuffix(fields[0], "_pk"), keys: fields}
		if x.service == cosmosRU {
			out = append(out, index{name: i.name + "_order", keys: fields[1:]})
		} else {
			i.partial = fields[0]
		}
		out = append(out, i)
	}
	if x.ttl {
		out = append(out, index{name: store.ExpiresField, keys: []string{store.ExpiresField}, expire: true})
	}
	return out
}

// Print returns a script for mongosh.
func (x *indexes) Print() (string, error) {
	var b strings.Builder
	for _, i := range x.list() {
		var keys []string
		for _, k := range i.keys {
			keys = append(keys, k+": 1")
		}
		opts := fmt.Sprintf("name: %q", i.name)
		if i.partial != "" {
			opts += fmt.Sprintf(", partialFilterExpression: {%s: {$exists: true}}", i.partial)
		}
		if i.expire {
			opts += ", expireAfterSeconds: 0"
		}
		fmt.Fprintf(&b, "db.getSiblingDB(%q).getCollection(%q).createIndex({%s}, {%s})\n",
			x.database, x.collection, strings.Join(keys, ", "), opts)
	}
	return b.String(), nil
}

// Apply creates what is missing.
func (x *indexes) Apply(ctx context.Context) error {
	coll, err := x.connect(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = coll.Database().Client().Disconnect(context.WithoutCancel(ctx)) }() // nothing is left to lose
	for _, i := range x.list() {
		_, err := coll.Indexes().CreateOne(ctx, i.model())
		if i.partial != "" && unsupported(err) { // other servers of the protocol: the index then holds all records
			i.partial = ""
			_, err = coll.Indexes().CreateOne(ctx, i.model())
		}
		if conflicts(err) {
			return fmt.Errorf("collection %s.%s has an index %s that differs: drop it, and init again: %w", x.database, x.collection, i.name, err)
		}
		if err != nil {
			return fmt.Errorf("create index %s of collection %s.%s: %w", i.name, x.database, x.collection, err)
		}
	}
	return nil
}

func (i index) model() mongo.IndexModel {
	keys := bson.D{}
	for _, k := range i.keys {
		keys = append(keys, bson.E{Key: k, Value: 1})
	}
	o := options.Index().SetName(i.name)
	if i.partial != "" {
		o.SetPartialFilterExpression(bson.D{{Key: i.partial, Value: bson.D{{Key: "$exists", Value: true}}}})
	}
	if i.expire {
		o.SetExpireAfterSeconds(0)
	}
	return mongo.IndexModel{Keys: keys, Options: o}
}

// The server's error codes that matter here.
const (
	codeOptionsConflict = 85
	codeKeysConflict    = 86
	codeNotSupported    = 115
	codeNotImplemented  = 238
)

func hasCode(err error, codes ...int) bool {
	var server mongo.ServerError
	if !errors.As(err, &server) {
		return false
	}
	return slices.ContainsFunc(codes, server.HasErrorCode)
}

func unsupported(err error) bool { return hasCode(err, codeNotSupported, codeNotImplemented) }
func conflicts(err error) bool   { return hasCode(err, codeOptionsConflict, codeKeysConflict) }
