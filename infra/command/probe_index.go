package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"gocloud.dev/docstore"
	"gocloud.dev/gcerrors"
)

// lookAgain is how long the doctor waits before it asks again for what may take a while to appear.
const lookAgain = 200 * time.Millisecond

// index queries one index as the store package does, until the record is found there, and asks how the query is run.
func (p *storeProbe) index(ctx context.Context, pk, sk string) {
	what := "store query by " + pk
	direction := docstore.Descending
	if pk == "due_pk" {
		direction = docstore.Ascending
	}
	query := func() *docstore.Query {
		return p.coll.Query().Where(docstore.FieldPath(pk), "=", p.id).Where(docstore.FieldPath(sk), "<", p.id+"~").
			OrderBy(sk, direction).Limit(2)
	}
	found := 0
	err := p.try(ctx, func(ctx context.Context) (err error) {
		for {
			if found, err = count(ctx, query(), sk); err != nil || found > 0 {
				return err
			}
			if !after(ctx, lookAgain) {
				return nil
			}
		}
	})
	switch {
	case err != nil:
		p.failed(what, err, queryRemedies)
	case found == 0:
		p.fail(what, fmt.Sprintf("the record was not found within %v", p.patience), queryRemedies[gcerrors.Unknown])
	case found > 1:
		p.fail(what, "the record was found twice", faultyStore)
	default:
		p.plan(what, query(), sk)
	}
}

// count counts what a query finds.
func count(ctx context.Context, q *docstore.Query, sk string) (int, error) {
	it := q.Get(ctx, "id", docstore.FieldPath(sk))
	defer it.Stop()
	for n := 0; ; n++ {
		err := it.Next(ctx, &probe{})
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}

// plan judges how the store runs a query, if its driver tells.
func (p *storeProbe) plan(what string, q *docstore.Query, sk string) {
	plan, err := q.Plan("id", docstore.FieldPath(sk))
	if gcerrors.Code(err) == gcerrors.Unimplemented || err == nil && plan == untold {
		p.okf(what, "finds the record; whether by an index is %s", unchecked(p.set.PlanNote(p.env.Store), "the store's driver does not tell"))
		return
	}
	if err != nil {
		p.failed(what, fmt.Errorf("ask for the plan: %w", err), queryRemedies)
		return
	}
	switch how := judge(plan); how {
	case byIndex:
		p.okf(what, "finds the record by an index")
	case bySize:
		p.warn(what, "finds the record by reading the table, as PostgreSQL does while it is small: "+plan,
			"ask again when there are some thousand records; if it is still so then, run init")
	default:
		p.fail(what, "finds the record by reading everything: "+plan, queryRemedies[gcerrors.Unknown])
	}
}

// how says how a query is run.
type how int

const (
	byScan how = iota
	byIndex
	bySize // a scan, which may be the better choice
)

// untold is the plan of drivers that know none.
const untold = "unknown"

// judge reads a plan: of DynamoDB, where gocloud writes it, of MongoDB, where our driver does, of SQLite or of PostgreSQL.
func judge(plan string) how {
	has := func(texts ...string) bool {
		for _, text := range texts {
			if strings.Contains(plan, text) {
				return true
			}
		}
		return false
	}
	switch {
	case has("in Go:"):
		return byScan
	case has("Seq Scan"):
		return bySize
	case has("SCAN", "TEMP B-TREE"):
		return byScan
	case has("USING INDEX", "USING COVERING INDEX", "Index Scan", "Index Only Scan"), strings.HasPrefix(plan, "Index: "):
		return byIndex
	default:
		return byScan
	}
}
