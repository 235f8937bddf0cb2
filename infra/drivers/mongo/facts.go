package mongo

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/mongo"
	"gocloud.dev/docstore"

	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/store"
)

// facts tells the server's time, whether there is an index by which it expires records, and which indexes are missing.
func facts(ctx context.Context, a *drivers.Address, coll *docstore.Collection) (*drivers.StoreFacts, error) {
	p, err := parse(a)
	if err != nil {
		return nil, err
	}
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
	} else {
		f.ClockNote = "the server does not tell its time"
	}
	cursor, err := behind.Indexes().List(ctx)
	if err != nil {
		return f, fmt.Errorf("list the indexes of %s.%s: %w", behind.Database().Name(), behind.Name(), err)
	}
	var all []existing
	if err := cursor.All(ctx, &all); err != nil {
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
	f.Remarks = append(f.Remarks, missing((&indexes{p}).list(), all))
	return f, nil
}

// existing is an index that is there.
type existing struct {
	Name   string `bson:"name"`
	Key    bson.D `bson:"key"`
	Expire *int64 `bson:"expireAfterSeconds"`
}

// serves reports whether an index begins with fields. One of all fields serves each of them alone.
func (e existing) serves(fields []string) bool {
	if len(fields) == 1 && len(e.Key) == 1 && e.Key[0].Key == "$**" {
		return true
	}
	if len(e.Key) < len(fields) {
		return false
	}
	for i, f := range fields {
		if e.Key[i].Key != f {
			return false
		}
	}
	return true
}

// missing compares the indexes that are wanted for queries with those that are there.
func missing(wanted []index, all []existing) drivers.Remark {
	var there, gone []string
	for _, w := range wanted {
		if w.expire {
			continue // has been judged
		}
		if slices.ContainsFunc(all, func(e existing) bool { return e.serves(w.keys) }) {
			there = append(there, w.name)
		} else {
			gone = append(gone, fmt.Sprintf("%s (%s)", w.name, strings.Join(w.keys, ", ")))
		}
	}
	if len(gone) == 0 {
		return drivers.Remark{What: "indexes", Why: "there are " + strings.Join(there, ", ")}
	}
	return drivers.Remark{
		What: "indexes", Why: "missing: " + strings.Join(gone, ", "),
		Remedy: "run init, or create what init --print prints", Fatal: true,
	}
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
