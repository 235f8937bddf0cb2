package mongo

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"go.mongodb.org/mongo-driver/event"
	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"
	"gocloud.dev/docstore"
	"gocloud.dev/docstore/driver"
	"gocloud.dev/gcerrors"

	"github.com/piecework/piecework/store/relay"
)

// errCut says that a read was answered in part.
var errCut = errors.New("the server did not answer the rest of a read")

// cut notes whether a read was cut short, and how long the server said to wait. It travels in the
// context.
type cut struct {
	short atomic.Bool
	wait  atomic.Int64 // a time.Duration
}

// err is what becomes of a read.
func (c *cut) err() error {
	if wait := time.Duration(c.wait.Load()); wait > 0 {
		return busy{errCut, wait}
	}
	return errCut
}

type cutKey struct{}

// watch lets the client tell of reads that were cut short.
func watch(o *options.ClientOptions) {
	o.SetMonitor(&event.CommandMonitor{Failed: func(ctx context.Context, e *event.CommandFailedEvent) {
		if c, ok := ctx.Value(cutKey{}).(*cut); ok && e.CommandName == "getMore" {
			c.wait.Store(int64(waitOf(e.Failure))) // the event has the error's text and not its code
			c.short.Store(true)
		}
	}})
}

// guard returns a collection that does not take for missing what a read was cut short of. Servers
// answer in parts, and Cosmos DB may refuse the second part of a read, also of one document;
// gocloud takes the rest for not found, and a job that is not found is a job that is dropped. And
// it tells package store when to ask again, if the server says.
func guard(inner *docstore.Collection, behind *mongo.Collection) *docstore.Collection {
	return relay.New(inner, relay.Hooks{
		Actions: func(ctx context.Context, actions []*driver.Action, next relay.Run) driver.ActionListError {
			c := &cut{}
			errs := next(context.WithValue(ctx, cutKey{}, c), actions)
			for i := range errs {
				errs[i].Err = hinted(errs[i].Err)
			}
			if !c.short.Load() {
				return errs
			}
			reads := map[int]bool{}
			for _, a := range actions {
				reads[a.Index] = a.Kind == driver.Get
			}
			for i, e := range errs {
				if reads[e.Index] && gcerrors.Code(e.Err) == gcerrors.NotFound {
					errs[i].Err = c.err()
				}
			}
			return errs
		},
		Query: func(ctx context.Context, q *driver.Query, next relay.Ask) (driver.DocumentIterator, error) {
			it, err := next(ctx, q)
			if err != nil {
				return nil, err
			}
			return heeding{it}, nil
		},
		Plan:  planner(behind),
		Close: inner.Close,
	})
}
