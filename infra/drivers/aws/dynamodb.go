package aws

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"gocloud.dev/docstore"
	"gocloud.dev/docstore/awsdynamodb/v2"
	"gocloud.dev/docstore/driver"

	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/store/relay"
)

// tableURL is what a dynamodb URL says.
type tableURL struct {
	client   *dynamodb.Client
	table    string
	parallel int
	scans    bool
	ttl      bool
}

func parseTable(ctx context.Context, a *drivers.Address) (tableURL, error) {
	t := tableURL{
		table:    a.Host,
		parallel: a.Params.Int("parallel", 16, 1, 1000),
		scans:    a.Params.Bool("allow_scans", false),
		ttl:      a.Params.Bool("ttl", false),
	}
	if err := a.WantHost("table"); err != nil {
		return t, err
	}
	if err := a.WantNoPath(); err != nil {
		return t, err
	}
	s, err := newSession(ctx, a, "")
	if err != nil {
		return t, err
	}
	t.client = dynamodb.NewFromConfig(s.config, func(o *dynamodb.Options) {
		o.BaseEndpoint = s.endpoint
		o.APIOptions = append(o.APIOptions, readAll)
		o.Retryer = patient()
		o.HTTPClient = s.patientFor(callTime)
	})
	return t, nil
}

// ttl is the form of expiry that DynamoDB wants, if the URL asks for any.
func ttl(a *drivers.Address) store.TTL {
	if a.Params.Bool("ttl", false) {
		return store.TTLSeconds
	}
	return store.TTLNone
}

func openTable(ctx context.Context, a *drivers.Address) (*docstore.Collection, func() error, error) {
	t, err := parseTable(ctx, a)
	if err != nil {
		return nil, nil, err
	}
	inner, err := describe(ctx, t)
	if err != nil {
		return nil, nil, undescribed(t.table, err)
	}
	outer := split(inner)
	return outer, func() error { return errors.Join(outer.Close(), inner.Close()) }, nil
}

// undescribed says why a table could not be opened. It is no error of configuration: mostly the
// network, the credentials or the rights are not there, or init has not been run yet.
func undescribed(table string, err error) error {
	if _, ok := errors.AsType[*types.ResourceNotFoundException](err); ok {
		return fmt.Errorf("there is no table %s in this account and region; pieceworkd init creates it: %w", table, err)
	}
	return fmt.Errorf("describe table %s: %w", table, err)
}

// describe opens the collection, for which gocloud asks what indexes the table has.
func describe(ctx context.Context, t tableURL) (*docstore.Collection, error) {
	for try := 0; ; try++ {
		coll, err := t.open(ctx)
		if err == nil || try == readTries || ctx.Err() != nil || !throttled(err).Bool() {
			return coll, err
		}
		if err := pause(ctx, try); err != nil {
			return nil, err
		}
	}
}

// open asks once. gocloud asks without a context, so that a request that is not answered would
// outlast the caller's: it is left to end by itself.
func (t tableURL) open(ctx context.Context) (*docstore.Collection, error) {
	type answer struct {
		coll *docstore.Collection
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		coll, err := awsdynamodb.OpenCollection(t.client, t.table, store.IDField, "", &awsdynamodb.Options{
			RevisionField:            store.RevisionField,
			MaxOutstandingActionRPCs: t.parallel, // a bulk write is one request a document, and has no limit otherwise
			AllowScans:               t.scans,    // otherwise a query that no index serves is refused, and not read from the whole table
		})
		answers <- answer{coll, err}
	}()
	select {
	case a := <-answers:
		return a.coll, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// patient returns how the SDK repeats requests to DynamoDB: those that did not get there, or met a
// fault of the service, twice at most and soon. What DynamoDB throttled it does not repeat: package
// store waits, with jitter and longer each time, and counts how long. With both, each of its tries
// would be three requests and take seconds, and a heartbeat that is tried again could outlast its
// lease.
func patient() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxBackoff = time.Second
		o.Retryables = append([]retry.IsErrorRetryable{retry.IsErrorRetryableFunc(notThrottled)}, o.Retryables...)
	})
}

// notThrottled says no to what was throttled, and leaves the rest to others.
func notThrottled(err error) aws.Ternary {
	if throttled(err).Bool() {
		return aws.FalseTernary
	}
	return aws.UnknownTernary
}

// throttled tells whether DynamoDB was asked for too much.
func throttled(err error) aws.Ternary {
	return retry.IsErrorThrottles(retry.DefaultThrottles).IsErrorThrottle(err)
}

// split returns a collection whose reads by id are strongly consistent and whose queries are
// eventually consistent. gocloud has one switch for both, and global indexes refuse consistent
// queries. It forwards to the one collection and sets what differs in the requests, so that opening
// costs one DescribeTable. Close leaves inner open.
func split(inner *docstore.Collection) *docstore.Collection {
	return relay.New(inner, relay.Hooks{
		BeforeDo: func(as func(any) bool) error {
			var get *dynamodb.BatchGetItemInput
			if as(&get) {
				for table, keys := range get.RequestItems {
					keys.ConsistentRead = aws.Bool(true)
					get.RequestItems[table] = keys
				}
			}
			return nil
		},
		BeforeQuery: func(q *driver.Query, as func(any) bool) error {
			var in *dynamodb.QueryInput
			if q.Limit > 0 && as(&in) {
				// gocloud counts on its own side; DynamoDB would read, and charge for, a megabyte a
				// page.
				in.Limit = aws.Int32(int32(q.Limit + q.Offset))
			}
			return nil
		},
	})
}
