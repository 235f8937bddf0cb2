package mongo

import (
	"context"
	"fmt"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/mongo"
	"gocloud.dev/docstore/driver"
)

// unknown is the plan of a query that the server does not explain. gocloud's driver returns it for
// all queries.
const unknown = "unknown"

// planTime is how long the server may take to plan a query.
const planTime = 10 * time.Second

// operators maps docstore's operators to MongoDB's.
var operators = map[string]string{driver.EqualOp: "$eq", "<": "$lt", "<=": "$lte", ">": "$gt", ">=": "$gte"}

// planner asks a server how it runs a query. Servers that speak MongoDB's protocol without being
// MongoDB, Cosmos DB for RU among them, explain in a form of their own or not at all: their plans
// are unknown.
func planner(coll *mongo.Collection) func(q *driver.Query) (string, error) {
	return func(q *driver.Query) (string, error) {
		filter := bson.D{}
		for _, f := range q.Filters {
			op, ok := operators[f.Op]
			if !ok {
				return unknown, nil
			}
			filter = append(filter, bson.E{Key: strings.Join(f.FieldPath, "."), Value: bson.D{{Key: op, Value: f.Value}}})
		}
		find := bson.D{{Key: "find", Value: coll.Name()}, {Key: "filter", Value: filter}}
		if q.OrderByField != "" {
			direction := -1
			if q.OrderAscending {
				direction = 1
			}
			find = append(find, bson.E{Key: "sort", Value: bson.D{{Key: q.OrderByField, Value: direction}}})
		}
		if q.Limit > 0 {
			find = append(find, bson.E{Key: "limit", Value: q.Limit})
		}
		ctx, cancel := context.WithTimeout(context.Background(), planTime)
		defer cancel()
		answer, err := coll.Database().RunCommand(ctx, bson.D{{Key: "explain", Value: find}, {Key: "verbosity", Value: "queryPlanner"}}).Raw()
		if _, refused := err.(mongo.ServerError); refused { //nolint:errorlint // it comes so; what is wrapped is a lost connection
			return unknown, nil
		}
		if err != nil {
			return "", fmt.Errorf("explain a query of %s: %w", coll.Name(), err)
		}
		return readPlan(answer), nil
	}
}

// readPlan reads what MongoDB explains: the stages of the plan that it chose.
func readPlan(answer bson.Raw) string {
	chosen, err := answer.LookupErr("queryPlanner", "winningPlan")
	if err != nil {
		return unknown
	}
	var indexes []string
	scan, sort := false, false
	stages(chosen, func(stage, index string) {
		switch {
		case stage == "COLLSCAN":
			scan = true
		case stage == "SORT":
			sort = true
		case strings.HasSuffix(stage, "IXSCAN"):
			indexes = append(indexes, index)
		}
	})
	switch {
	case scan:
		return "COLLSCAN: every document is read"
	case sort:
		return "SCAN of a part of index " + strings.Join(indexes, ", ") + ", and SORT of all that it finds"
	case len(indexes) > 0:
		return "Index: " + strings.Join(indexes, ", ")
	default:
		return unknown
	}
}

// stages calls visit for each stage below a value, whatever lies between: the form differs between
// versions, and between one server and a cluster.
func stages(v bson.RawValue, visit func(stage, index string)) {
	var below bson.Raw
	if doc, ok := v.DocumentOK(); ok {
		below = doc
		stage, _ := doc.Lookup("stage").StringValueOK()
		index, _ := doc.Lookup("indexName").StringValueOK()
		visit(stage, index)
	} else if list, ok := v.ArrayOK(); ok {
		below = list
	}
	elements, _ := below.Elements() // of a value that came whole
	for _, e := range elements {
		if e.Key() != "rejectedPlans" {
			stages(e.Value(), visit)
		}
	}
}
