package mongo

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/mongo"
	"gocloud.dev/docstore"

	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/store"
)

// facts tells the server's time, and whether there is an index by which it expires records.
func facts(ctx context.Context, _ *drivers.Address, coll *docstore.Collection) (*drivers.StoreFacts, error) {
	var behind *mongo.Collection
	if !coll.As(&behind) {
		return nil, nil
	}
	f, clock := &drivers.StoreFacts{}, drivers.Clock{Sent: time.Now(), Grain: time.Millisecond}
	var hello struct {
		LocalTime time.Time `bson:"localTime"`
	}
	if err := behind.Database().RunCommand(ctx, bson.D{{Key: "hello", Value: 1}}).Decode(&hello); err != nil {
		return f, fmt.Errorf("ask the server for its time: %w", err)
	}
	if clock.Received, clock.Server = time.Now(), hello.LocalTime; !clock.Server.IsZero() {
		f.Clock = &clock
	}
	indexes, err := behind.Indexes().List(ctx)
	if err != nil {
		return f, fmt.Errorf("list the indexes of %s.%s: %w", behind.Database().Name(), behind.Name(), err)
	}
	var all []struct {
		Name   string `bson:"name"`
		Key    bson.D `bson:"key"`
		Expire *int64 `bson:"expireAfterSeconds"`
	}
	if err := indexes.All(ctx, &all); err != nil {
		return f, fmt.Errorf("list the indexes of %s.%s: %w", behind.Database().Name(), behind.Name(), err)
	}
	f.Expires, f.Expiry = drivers.No, "there is no index on that field with expireAfterSeconds"
	for _, i := range all {
		if len(i.Key) != 1 || i.Key[0].Key != store.ExpiresField || i.Expire == nil {
			continue
		}
		f.Expiry = fmt.Sprintf("index %s, %d seconds after", i.Name, *i.Expire)
		f.Expires = drivers.Yes
	}
	return f, nil
}

// codeUnauthorized is the server's for a lack of rights.
const codeUnauthorized = 13

var refused = regexp.MustCompile(`not authorized on (\S+) to execute command \{ (\w+):`)

// denied says what to grant.
func denied(err error) string {
	var server mongo.ServerError
	if !errors.As(err, &server) || !server.HasErrorCode(codeUnauthorized) {
		return ""
	}
	if m := refused.FindStringSubmatch(server.Error()); m != nil {
		return fmt.Sprintf("grant this process's user the role readWrite on database %s, or one that may %s there", m[1], m[2])
	}
	return "grant this process's user the role readWrite on the database"
}
