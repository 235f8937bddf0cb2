// Package mongo registers MongoDB as a store, and Azure Cosmos DB through its API for MongoDB, RU
// and vCore.
//
// # URLs
//
//	mongodb://host1:27017,host2:27017/DATABASE?replicaSet=rs0
//	mongodb+srv://cluster.example.com/DATABASE
//
// It is MongoDB's own connection string, so the string from the Azure portal works as it is.
// Without a database in it, "piecework" is used.
//
// # Parameters
//
//	collection=records    the collection
//	cosmos=auto           auto, no, ru or vcore: which of Cosmos DB's services it is; auto goes by the host's name
//	ttl=false             true: init lets the server delete by the date in "expires", and jobs without files get one,
//	                      which saves the write that removes them. The same for all processes, and for init. Refused for
//	                      Cosmos DB for RU, which deletes by the time of the last write and not by a date
//
// and all of MongoDB's. Different from their defaults are, if the URL does not say otherwise:
// w=majority and journalled, so that an acknowledged write survives a change of primary,
// readConcernLevel=majority, so that what is read does, serverSelectionTimeoutMS=5000, so that a
// server that is away is noticed, and socketTimeoutMS=10000, unless there is timeoutMS, so that one
// that does not answer is. On Cosmos DB for RU the concerns are the account's business, and
// retryWrites is false, because it refuses them.
//
// # Environment and credentials
//
// User and password in the URL, or authMechanism with what it needs (AWS_ACCESS_KEY_ID for
// MONGODB-AWS, a certificate for X.509). None is logged.
//
// # Limits
//
// A record may be as large as the store package allows: MongoDB's limit is 16 MB, Cosmos DB's for
// RU 2 MB. The collection is not sharded, or sharded by _id: every write names _id and the revision
// and nothing else. On Cosmos DB for RU, an account at session consistency or stronger.
//
// # Delivery
//
// A store delivers nothing. Reads and queries go to the primary. A stale write is reported as not
// found, which the store package knows. Throttling by Cosmos DB (error 16500, or 429) leaves a
// write's outcome unknown: the store waits, with jitter, longer each time and no less than the
// error says (RetryAfterMs), reads again, and repeats it.
//
// # Delay
//
// Not of a store.
package mongo

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"
	"go.mongodb.org/mongo-driver/mongo/readconcern"
	"go.mongodb.org/mongo-driver/mongo/readpref"
	"go.mongodb.org/mongo-driver/mongo/writeconcern"
	"gocloud.dev/docstore"
	"gocloud.dev/docstore/mongodocstore"

	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/store"
)

// Register registers the stores mongodb and mongodb+srv.
func Register(s *drivers.Set) {
	for _, scheme := range []string{"mongodb", "mongodb+srv"} {
		s.AddStore(scheme, drivers.StoreDriver{Open: open, Provisioner: provisioner, TTL: ttl})
	}
	s.AddDenial(denied)
}

// native are MongoDB's own parameters, as its Go driver has them.
var native = []string{
	"appName", "authMechanism", "authMechanismProperties", "authSource", "compressors", "connect", "connectTimeoutMS",
	"directConnection", "heartbeatFrequencyMS", "heartbeatIntervalMS", "journal", "loadBalanced", "localThresholdMS",
	"maxConnecting", "maxIdleTimeMS", "maxPoolSize", "maxStaleness", "maxStalenessSeconds", "minPoolSize",
	"readConcernLevel", "replicaSet", "retryReads", "retryWrites", "serverMonitoringMode", "serverSelectionTimeoutMS",
	"socketTimeoutMS", "srvMaxHosts", "srvServiceName", "ssl", "sslCertificateAuthorityFile", "sslClientCertificateKeyFile",
	"sslClientCertificateKeyPassword", "sslInsecure", "timeoutMS", "tls", "tlsCAFile", "tlsCertificateFile",
	"tlsCertificateKeyFile", "tlsCertificateKeyFilePassword", "tlsDisableOCSPEndpointCheck", "tlsInsecure",
	"tlsPrivateKeyFile", "w", "wtimeout", "wtimeoutMS", "zlibCompressionLevel", "zstdCompressionLevel",
}

// service is whose implementation of the protocol it is.
type service string

const (
	mongoDB     service = "no"
	cosmosRU    service = "ru"
	cosmosVCore service = "vcore"
)

// place is what a URL says.
type place struct {
	options              *options.ClientOptions
	database, collection string
	service              service
	ttl                  bool
}

func parse(a *drivers.Address) (*place, error) {
	p := &place{
		database: strings.Trim(a.Path, "/"), collection: a.Params.String("collection", "records"),
		service: service(a.Params.OneOf("cosmos", "auto", string(mongoDB), string(cosmosRU), string(cosmosVCore))),
		ttl:     a.Params.Bool("ttl", false),
	}
	theirs := a.Params.RestFold(native...)
	if err := a.WantHost("host"); err != nil {
		return nil, err
	}
	if _, given := a.Params.Lookup("readPreference"); given {
		return nil, a.Errorf("readPreference: reads go to the primary, because a job is decided by what it says: remove it")
	}
	if err := a.Check(); err != nil {
		return nil, err
	}
	if p.database == "" {
		p.database = "piecework"
	}
	if p.service == "auto" {
		p.service = guess(a.Host)
	}
	if p.ttl && p.service == cosmosRU {
		return nil, a.Errorf("ttl=true: Cosmos DB for RU cannot delete by a date: leave it out, and sweep removes what is past its retention")
	}
	uri, _, _ := strings.Cut(a.Raw(), "?")
	if strings.Trim(a.Path, "/") == "" { // its parser wants a slash before the question mark
		uri = strings.TrimRight(uri, "/") + "/"
	}
	p.options = options.Client().ApplyURI(uri + "?" + theirs.Encode())
	if err := p.options.Validate(); err != nil {
		return nil, a.Errorf("%w", err)
	}
	if w := p.options.WriteConcern; w != nil && w.W == 0 {
		return nil, a.Errorf("w=0: writes must be acknowledged, or no process could tell who holds a job: remove it")
	}
	p.defaults(func(name string) bool {
		return slices.ContainsFunc(slices.Collect(maps.Keys(theirs)), func(n string) bool { return strings.EqualFold(n, name) })
	})
	return p, nil
}

// guess tells Cosmos DB by its hosts' names.
func guess(host string) service {
	switch {
	case strings.Contains(host, ".mongocluster.cosmos.azure."):
		return cosmosVCore
	case strings.Contains(host, ".mongo.cosmos.azure.") || strings.Contains(host, ".documents.azure."):
		return cosmosRU
	default:
		return mongoDB
	}
}

// defaults sets what the URL leaves open.
func (p *place) defaults(given func(string) bool) {
	o := p.options
	o.SetReadPreference(readpref.Primary())
	if o.ServerSelectionTimeout == nil {
		o.SetServerSelectionTimeout(5 * time.Second)
	}
	if o.AppName == nil && p.service != cosmosRU { // there the portal's connection string carries the account in it
		o.SetAppName("piecework")
	}
	if p.service == cosmosRU {
		o.SetRetryWrites(false)
		return
	}
	durable := writeconcern.WriteConcern{}
	if o.WriteConcern != nil {
		durable = *o.WriteConcern
	}
	if given("journal") && durable.Journal == nil { // its parser takes false for nothing said
		durable.Journal = new(bool)
	}
	if durable.W == nil {
		durable.W = writeconcern.Majority().W
		if durable.Journal == nil {
			journal := true
			durable.Journal = &journal
		}
	}
	o.SetWriteConcern(&durable)
	if o.ReadConcern == nil {
		o.SetReadConcern(readconcern.Majority())
	}
}

// callTime is the most that a server may take for a request, if the URL does not say otherwise.
// Without a limit, a connection that has gone dead would hold a verb, and with it a lease, for as
// long as TCP likes.
const callTime = 10 * time.Second

// ttl is the form of expiry that the server wants, if the URL asks for any.
func ttl(a *drivers.Address) store.TTL {
	if a.Params.Bool("ttl", false) {
		return store.TTLTime
	}
	return store.TTLNone
}

// connect makes a client. It dials in the background: a server that is away is noticed by the first
// request.
func (p *place) connect(ctx context.Context) (*mongo.Collection, error) {
	client, err := mongo.Connect(ctx, p.options)
	if err != nil {
		return nil, err
	}
	return client.Database(p.database).Collection(p.collection), nil
}

func open(ctx context.Context, a *drivers.Address) (*docstore.Collection, func() error, error) {
	p, err := parse(a)
	if err != nil {
		return nil, nil, err
	}
	if p.options.SocketTimeout == nil && p.options.Timeout == nil {
		p.options.SetSocketTimeout(callTime)
	}
	watch(p.options)
	// The client lives longer than the context of opening.
	behind, err := p.connect(context.WithoutCancel(ctx))
	if err != nil {
		return nil, nil, err
	}
	inner, err := mongodocstore.OpenCollection(behind, store.IDField, &mongodocstore.Options{RevisionField: store.RevisionField})
	if err != nil {
		return nil, nil, err
	}
	coll := guard(inner, behind)
	return coll, func() error {
		defer coll.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		return behind.Database().Client().Disconnect(ctx)
	}, nil
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
