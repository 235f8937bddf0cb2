package mongo

import (
	"testing"

	"go.mongodb.org/mongo-driver/bson"
)

// The answers have the form of MongoDB's documentation of explain; none is of a real server.
func TestPlans(t *testing.T) {
	for name, c := range map[string]struct{ answer, want string }{
		"by an index": {
			`{"queryPlanner": {"winningPlan": {"stage": "LIMIT", "limitAmount": 2, "inputStage": {"stage": "FETCH", "inputStage":
				{"stage": "IXSCAN", "keyPattern": {"due_pk": 1, "due_sk": 1}, "indexName": "due"}}},
				"rejectedPlans": [{"stage": "COLLSCAN"}]}, "ok": 1}`, "Index: due",
		},
		"by another engine": {
			`{"explainVersion": "2", "queryPlanner": {"winningPlan": {"isCached": false, "queryPlan": {"stage": "FETCH", "inputStage":
				{"stage": "IXSCAN", "indexName": "list"}}, "slotBasedPlan": {"stages": "[2] limit 2"}}}}`, "Index: list",
		},
		"by a short cut": {`{"queryPlanner": {"winningPlan": {"stage": "EXPRESS_IXSCAN", "indexName": "due"}}}`, "Index: due"},
		"on two shards": {
			`{"queryPlanner": {"winningPlan": {"stage": "SHARD_MERGE_SORT", "shards": [
				{"shardName": "a", "winningPlan": {"stage": "IXSCAN", "indexName": "due"}, "rejectedPlans": [{"stage": "SORT"}]},
				{"shardName": "b", "winningPlan": {"stage": "IXSCAN", "indexName": "due_2"}, "rejectedPlans": []}]}}}`, "Index: due, due_2",
		},
		"one shard has none": {
			`{"queryPlanner": {"winningPlan": {"stage": "SHARD_MERGE_SORT", "shards": [
				{"winningPlan": {"stage": "IXSCAN", "indexName": "due"}}, {"winningPlan": {"stage": "SORT", "inputStage": {"stage": "COLLSCAN"}}}]}}}`,
			"COLLSCAN: every document is read",
		},
		"by reading everything": {
			`{"queryPlanner": {"winningPlan": {"stage": "SORT", "inputStage": {"stage": "COLLSCAN", "direction": "forward"}}}}`,
			"COLLSCAN: every document is read",
		},
		"by half an index": {
			`{"queryPlanner": {"winningPlan": {"stage": "SORT", "inputStage": {"stage": "FETCH", "inputStage": {"stage": "IXSCAN", "indexName": "due_pk_1"}}}}}`,
			"SCAN of a part of index due_pk_1, and SORT of all that it finds",
		},
		"of another server": {`{"queryPlanner": {"Plan": {"Node Type": "Seq Scan"}}, "ok": 1}`, unknown},
		"of Cosmos DB":      {`{"stages": [{"stage": "$query", "details": {"indexUsage": {}}}], "ok": 1}`, unknown},
		"of nothing":        {`{"queryPlanner": {"winningPlan": {"stage": "EOF"}}}`, unknown},
		"without a plan":    {`{"ok": 1}`, unknown},
		"of another form":   {`{"queryPlanner": {"winningPlan": "COLLSCAN"}}`, unknown},
	} {
		var answer bson.Raw
		if err := bson.UnmarshalExtJSON([]byte(c.answer), false, &answer); err != nil {
			t.Fatalf("bson.UnmarshalExtJSON: got %s: %v, want no error", name, err)
		}
		if got := readPlan(answer); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
