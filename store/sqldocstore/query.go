package sqldocstore

import (
	"context"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"gocloud.dev/docstore/driver"
)

// sqlQuery is the part of a query that the database runs.
type sqlQuery struct {
	s    *selection
	sql  string
	args []any
}

// plan is a query taken apart: what the database does, and what is left for Go. Only
// when the database does all filtering and sorting does it do offset and limit too.
type plan struct {
	sqlQuery                 // its selection is more than was asked for if Go must look at it
	asked    *selection      // what to hand out
	filters  []driver.Filter // for Go
	sortBy   string          // for Go; "" if the database sorts
	asc      bool
	offset   int // for Go
	limit    int // for Go; 0 for none
	never    bool
}

// RunGetQuery implements driver.Collection.
func (c *collection) RunGetQuery(ctx context.Context, q *driver.Query) (driver.DocumentIterator, error) {
	if q.BeforeQuery != nil {
		if err := q.BeforeQuery(c.db.as); err != nil {
			return nil, err
		}
	}
	p := c.plan(q)
	return c.iterate(ctx, p)
}

// QueryPlan implements driver.Collection: the statement, the database's own plan of
// it, and what is left to do in Go.
func (c *collection) QueryPlan(q *driver.Query) (string, error) {
	p := c.plan(q)
	text, err := c.db.explain(context.Background(), &p.sqlQuery)
	if err != nil {
		return "", wrapf(err, "plan %s", p.sql)
	}
	text = p.sql + "\n" + text
	for _, f := range p.filters {
		text += "\nin Go: filter " + strings.Join(f.FieldPath, ".") + " " + f.Op
	}
	if p.sortBy != "" {
		text += "\nin Go: sort by " + p.sortBy
	}
	return text, nil
}

func (c *collection) plan(q *driver.Query) *plan {
	p := &plan{offset: max(q.Offset, 0), limit: max(q.Limit, 0), asc: q.OrderAscending}
	p.asked = c.selectPaths(q.FieldPaths)
	p.s = p.asked
	b := sqlBuilder{dialect: c.db.dialect()}
	for _, f := range q.Filters {
		ok, never := c.filterSQL(&b, f)
		p.never = p.never || never
		if !ok {
			p.filters = append(p.filters, f)
		}
	}
	order := c.columnSQL(q.OrderByField)
	if q.OrderByField != "" && order == "" {
		p.sortBy = q.OrderByField
	}
	c.readAlso(p)
	b.finish(c, p, q, order)
	p.sql, p.args = b.String(), b.args
	return p
}

// readAlso widens what is read to what Go filters or sorts by.
func (c *collection) readAlso(p *plan) {
	var fps [][]string
	for _, f := range p.filters {
		fps = append(fps, f.FieldPath)
	}
	if p.sortBy != "" {
		fps = append(fps, []string{p.sortBy})
	}
	if len(fps) == 0 || p.asked == c.all {
		return
	}
	p.s = &selection{cols: slices.Clone(p.asked.cols), doc: p.asked.doc}
	for _, fp := range fps {
		c.selectPath(p.s, fp)
	}
	slices.Sort(p.s.cols)
	p.s.cols = slices.Compact(p.s.cols)
	p.s.sql = c.selectList(p.s)
}

// columnSQL is the quoted column of a field that a query can use, or "".
func (c *collection) columnSQL(field string) string {
	if field == "" {
		return ""
	}
	if field == c.IDField {
		return quote("id")
	}
	if i, ok := c.colIndex[field]; ok && c.Columns[i].Type != Bytes {
		return quote(field)
	}
	return ""
}

// columnType is the type of such a field.
func (c *collection) columnType(field string) ColumnType {
	if field == c.IDField {
		return Text
	}
	return c.Columns[c.colIndex[field]].Type
}

// filterSQL adds a filter to the statement. It reports false if Go must do it, and
// never if nothing can match: a string is neither more nor less than a number.
func (c *collection) filterSQL(b *sqlBuilder, f driver.Filter) (ok, never bool) {
	col := ""
	if len(f.FieldPath) == 1 {
		col = c.columnSQL(f.FieldPath[0])
	}
	if col == "" {
		return false, false
	}
	typ := c.columnType(f.FieldPath[0])
	if f.Op != "in" && f.Op != "not-in" {
		v, ok := columnArg(typ, f.Value)
		if !ok {
			return false, false
		}
		b.where(col + " " + f.Op + " " + b.arg(v))
		return true, false
	}
	values := reflect.ValueOf(f.Value)
	args := make([]any, values.Len())
	for i := range args {
		if args[i], ok = columnArg(typ, values.Index(i).Interface()); !ok {
			return false, false
		}
	}
	if len(args) == 0 {
		if f.Op == "not-in" {
			b.where(col + " IS NOT NULL")
		}
		return true, f.Op == "in"
	}
	b.whereIn(col, f.Op == "not-in", typ, args)
	return true, false
}

// columnArg is a filter's value as the column stores it. Values of another type are
// left to Go, which compares as docstore's memory driver does.
func columnArg(typ ColumnType, v any) (any, bool) {
	rv := reflect.ValueOf(v)
	switch {
	case typ == Text && rv.Kind() == reflect.String:
		return rv.String(), checkText("", rv.String()) == nil
	case typ == Int && rv.CanInt():
		return rv.Int(), true
	case typ == Int && rv.CanUint() && rv.Uint() <= math.MaxInt64:
		return int64(rv.Uint()), true
	}
	return nil, false
}

// sqlBuilder writes a SELECT.
type sqlBuilder struct {
	dialect Dialect
	conds   []string
	tail    string
	head    string
	args    []any
}

func (b *sqlBuilder) String() string {
	s := b.head
	if len(b.conds) > 0 {
		s += " WHERE " + strings.Join(b.conds, " AND ")
	}
	return s + b.tail
}

func (b *sqlBuilder) where(cond string) { b.conds = append(b.conds, cond) }

func (b *sqlBuilder) arg(v any) string {
	b.args = append(b.args, v)
	if b.dialect == SQLite {
		return "?"
	}
	return "$" + strconv.Itoa(len(b.args))
}

func (b *sqlBuilder) whereIn(col string, not bool, typ ColumnType, args []any) {
	if b.dialect == Postgres { // one parameter, so one statement for any number
		op := " = ANY("
		if not {
			op = " <> ALL("
		}
		b.where(col + op + b.arg(arrayArg{typ, args}) + ")")
		return
	}
	op := " IN ("
	if not {
		op = " NOT IN ("
	}
	marks := make([]string, len(args))
	for i, v := range args {
		marks[i] = b.arg(v)
	}
	b.where(col + op + strings.Join(marks, ", ") + ")")
}

// finish writes the select list, the order, and, unless Go has still to filter or
// sort, offset and limit.
func (b *sqlBuilder) finish(c *collection, p *plan, q *driver.Query, order string) {
	b.head = "SELECT " + p.s.sql + " FROM " + c.table()
	if order != "" {
		b.tail = " ORDER BY " + c.orderSQL(q, order)
	}
	if len(p.filters) > 0 || p.sortBy != "" {
		return
	}
	if p.limit > 0 {
		b.tail += " LIMIT " + b.arg(int64(p.limit))
	} else if p.offset > 0 && b.dialect == SQLite {
		b.tail += " LIMIT -1" // SQLite has no OFFSET without LIMIT
	}
	if p.offset > 0 {
		b.tail += " OFFSET " + b.arg(int64(p.offset))
	}
	p.limit, p.offset = 0, 0
}

// orderSQL is the ORDER BY. Documents that lack the field come first ascending and
// last descending. Where an index gives the order, ties come in the index's order,
// which is the same each time; where the database has to sort, the key breaks them,
// so that paging with Offset meets every document once.
func (c *collection) orderSQL(q *driver.Query, order string) string {
	dir, nulls := " DESC", " NULLS LAST"
	if q.OrderAscending {
		dir, nulls = " ASC", " NULLS FIRST"
	}
	filtered := slices.ContainsFunc(q.Filters, func(f driver.Filter) bool {
		return driver.FieldPathEqualsField(f.FieldPath, q.OrderByField)
	})
	s := order + dir
	if !filtered && q.OrderByField != c.IDField {
		s += nulls
	}
	if q.OrderByField != c.IDField && !c.indexOrders(q) {
		s += ", " + quote("id") + dir
	}
	return s
}

// indexOrders reports whether a declared index serves the query's filters and order:
// equality on its first columns, then the field to order by.
func (c *collection) indexOrders(q *driver.Query) bool {
	equal := map[string]bool{}
	ranged := false
	for _, f := range q.Filters {
		if len(f.FieldPath) == 1 && f.Op == driver.EqualOp {
			equal[f.FieldPath[0]] = true
		}
		ranged = ranged || driver.FieldPathEqualsField(f.FieldPath, q.OrderByField)
	}
	return slices.ContainsFunc(c.Indexes, func(index []string) bool {
		for _, name := range index {
			if name == q.OrderByField {
				return ranged || name != index[0]
			}
			if !equal[name] {
				return false
			}
		}
		return false
	})
}
