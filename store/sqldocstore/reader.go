package sqldocstore

import (
	"context"

	"gocloud.dev/docstore/driver"
)

// getChunk caps the ids of one statement.
const getChunk = 500

// runGet runs a single Get.
func (c *collection) runGet(ctx context.Context, a *driver.Action, errs []error) {
	id, err := keyString(a.Key)
	if err == nil {
		s := c.selectPaths(a.FieldPaths)
		var r *result
		if r, err = c.gets.get(ctx, s, id); err == nil {
			err = c.decodeFound(r, s, a)
		}
	}
	if err != nil {
		errs[a.Index] = callError(a, err)
	}
}

func (c *collection) decodeFound(r *result, s *selection, a *driver.Action) error {
	if r == nil {
		return errNotFound
	}
	return c.decode(r, s, a.Doc)
}

// runGets runs the Gets of a list: one statement for all that want the same fields.
func (c *collection) runGets(ctx context.Context, gets []*driver.Action, errs []error) {
	if len(gets) == 0 {
		return
	}
	for _, group := range driver.GroupByFieldPath(gets) {
		for len(group) > 0 {
			n := min(len(group), getChunk)
			c.runGetChunk(ctx, group[:n], errs)
			group = group[n:]
		}
	}
}

func (c *collection) runGetChunk(ctx context.Context, gets []*driver.Action, errs []error) {
	s := c.selectPaths(gets[0].FieldPaths)
	ids := make([]string, 0, len(gets))
	for _, a := range gets {
		id, err := keyString(a.Key)
		if err != nil {
			errs[a.Index] = callError(a, err)
		}
		ids = append(ids, id)
	}
	rows, err := c.db.get(ctx, s, ids)
	found := make(map[string]*result, len(rows))
	for i := range rows {
		found[rows[i].id] = &rows[i]
	}
	for i, a := range gets {
		if errs[a.Index] != nil {
			continue
		}
		aerr := err
		if aerr == nil {
			aerr = c.decodeFound(found[ids[i]], s, a)
		}
		if aerr != nil {
			errs[a.Index] = callError(a, aerr)
		}
	}
}
