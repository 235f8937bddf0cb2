package aws

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/store"
)

// patience is how long to wait for a table or an index to become active.
const patience = 10 * time.Minute

func provisioner(a *drivers.Address, _ bool) (drivers.Provisioner, error) {
	t, err := parseTable(context.Background(), a)
	if err != nil {
		return nil, err
	}
	return &table{t}, nil
}

// table is the DynamoDB table with its three indexes.
type table struct{ tableURL }

// indexName names the index over a pair of fields, such as due_pk and due_sk: due.
func indexName(fields []string) string { return fields[0][:len(fields[0])-len("_pk")] }

// Print returns two commands of the AWS command line.
func (t *table) Print() (string, error) {
	type pair = map[string]any
	attributes := []pair{{"AttributeName": store.IDField, "AttributeType": "S"}}
	var indexes []pair
	for _, fields := range store.Indexes() {
		for _, f := range fields {
			attributes = append(attributes, pair{"AttributeName": f, "AttributeType": "S"})
		}
		indexes = append(indexes, pair{
			"IndexName":  indexName(fields),
			"KeySchema":  []pair{{"AttributeName": fields[0], "KeyType": "HASH"}, {"AttributeName": fields[1], "KeyType": "RANGE"}},
			"Projection": pair{"ProjectionType": "KEYS_ONLY"},
		})
	}
	text, err := json.MarshalIndent(pair{
		"TableName": t.table, "BillingMode": "PAY_PER_REQUEST", "AttributeDefinitions": attributes,
		"KeySchema": []pair{{"AttributeName": store.IDField, "KeyType": "HASH"}}, "GlobalSecondaryIndexes": indexes,
	}, "", "  ")
	if err != nil {
		return "", err
	}
	out := fmt.Sprintf("aws dynamodb create-table --cli-input-json '%s'\n", text)
	if t.ttl {
		out += fmt.Sprintf("aws dynamodb update-time-to-live --table-name %s --time-to-live-specification Enabled=true,AttributeName=%s\n",
			t.table, store.ExpiresField)
	}
	return out, nil
}

// Apply creates the table, or the indexes that it lacks, and waits until they can be used.
func (t *table) Apply(ctx context.Context) error {
	have, err := t.describe(ctx)
	var missing *types.ResourceNotFoundException
	switch {
	case errors.As(err, &missing):
		if err := t.create(ctx); err != nil {
			return err
		}
	case err != nil:
		return fmt.Errorf("describe table %s: %w", t.table, err)
	default:
		if err := t.complete(ctx, have); err != nil {
			return err
		}
	}
	return t.expire(ctx)
}

func (t *table) describe(ctx context.Context) (*types.TableDescription, error) {
	out, err := t.client.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &t.table})
	if err != nil {
		return nil, err
	}
	return out.Table, nil
}

// create creates the table with all indexes.
func (t *table) create(ctx context.Context) error {
	in := &dynamodb.CreateTableInput{
		TableName: &t.table, BillingMode: types.BillingModePayPerRequest, KeySchema: keySchema(store.IDField),
		AttributeDefinitions: attributes(store.IDField),
	}
	for _, fields := range store.Indexes() {
		in.AttributeDefinitions = append(in.AttributeDefinitions, attributes(fields...)...)
		in.GlobalSecondaryIndexes = append(in.GlobalSecondaryIndexes, types.GlobalSecondaryIndex{
			IndexName: aws.String(indexName(fields)), KeySchema: keySchema(fields...), Projection: keysOnly(),
		})
	}
	_, err := t.client.CreateTable(ctx, in)
	var raced *types.ResourceInUseException // another process creates the same
	if err != nil && !errors.As(err, &raced) {
		return fmt.Errorf("create table %s: %w", t.table, err)
	}
	return t.waitActive(ctx)
}

// complete checks a table that exists, and adds the indexes that it lacks, one at a time as
// DynamoDB wants it.
func (t *table) complete(ctx context.Context, have *types.TableDescription) error {
	if !sameKeys(have.KeySchema, store.IDField) {
		return fmt.Errorf("table %s has another key than %q: use another table", t.table, store.IDField)
	}
	if err := t.waitActive(ctx); err != nil {
		return err
	}
	for _, fields := range store.Indexes() {
		name := indexName(fields)
		i := slices.IndexFunc(have.GlobalSecondaryIndexes, func(g types.GlobalSecondaryIndexDescription) bool {
			return aws.ToString(g.IndexName) == name
		})
		if i >= 0 {
			if !sameKeys(have.GlobalSecondaryIndexes[i].KeySchema, fields...) {
				return fmt.Errorf("table %s has an index %s on other fields than %v: delete it, and init again", t.table, name, fields)
			}
			continue
		}
		if _, err := t.client.UpdateTable(ctx, &dynamodb.UpdateTableInput{
			TableName: &t.table, AttributeDefinitions: attributes(fields...),
			GlobalSecondaryIndexUpdates: []types.GlobalSecondaryIndexUpdate{{Create: &types.CreateGlobalSecondaryIndexAction{
				IndexName: &name, KeySchema: keySchema(fields...), Projection: keysOnly(),
			}}},
		}); err != nil {
			return fmt.Errorf("create index %s of table %s: %w", name, t.table, err)
		}
		if err := t.waitActive(ctx); err != nil {
			return err
		}
	}
	return nil
}

// waitActive waits until the table and all its indexes can be used.
func (t *table) waitActive(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for try := 0; ; try++ {
		have, err := t.describe(ctx)
		if err != nil {
			return fmt.Errorf("wait for table %s: %w", t.table, err)
		}
		if have.TableStatus == types.TableStatusActive && !slices.ContainsFunc(have.GlobalSecondaryIndexes,
			func(g types.GlobalSecondaryIndexDescription) bool { return g.IndexStatus != types.IndexStatusActive }) {
			return nil
		}
		if err := pause(ctx, min(try, 7)); err != nil {
			return fmt.Errorf("wait for table %s, which is %s: %w", t.table, have.TableStatus, err)
		}
	}
}

// expire turns native expiry on, if the URL asks for it. It is never turned off, since others may
// rely on it.
func (t *table) expire(ctx context.Context) error {
	if !t.ttl {
		return nil
	}
	have, err := t.client.DescribeTimeToLive(ctx, &dynamodb.DescribeTimeToLiveInput{TableName: &t.table})
	if err != nil {
		return fmt.Errorf("describe expiry of table %s: %w", t.table, err)
	}
	if d := have.TimeToLiveDescription; d != nil && d.TimeToLiveStatus != types.TimeToLiveStatusDisabled && d.AttributeName != nil {
		if *d.AttributeName != store.ExpiresField {
			return fmt.Errorf("table %s expires items by %q, not by %q: turn that off first", t.table, *d.AttributeName, store.ExpiresField)
		}
		return nil
	}
	if _, err := t.client.UpdateTimeToLive(ctx, &dynamodb.UpdateTimeToLiveInput{
		TableName: &t.table,
		TimeToLiveSpecification: &types.TimeToLiveSpecification{
			AttributeName: aws.String(store.ExpiresField), Enabled: aws.Bool(true),
		},
	}); err != nil {
		return fmt.Errorf("turn on expiry of table %s: %w", t.table, err)
	}
	return nil
}

func attributes(names ...string) []types.AttributeDefinition {
	var out []types.AttributeDefinition
	for _, n := range names {
		out = append(out, types.AttributeDefinition{AttributeName: aws.String(n), AttributeType: types.ScalarAttributeTypeS})
	}
	return out
}

// keySchema is a partition key and perhaps a sort key.
func keySchema(names ...string) []types.KeySchemaElement {
	out := []types.KeySchemaElement{{AttributeName: aws.String(names[0]), KeyType: types.KeyTypeHash}}
	for _, n := range names[1:] {
		out = append(out, types.KeySchemaElement{AttributeName: aws.String(n), KeyType: types.KeyTypeRange})
	}
	return out
}

// keysOnly is what the indexes hold beside their own keys: the id. They say where to look, and cost
// little to keep.
func keysOnly() *types.Projection {
	return &types.Projection{ProjectionType: types.ProjectionTypeKeysOnly}
}

func sameKeys(have []types.KeySchemaElement, want ...string) bool {
	return slices.EqualFunc(have, keySchema(want...), func(a, b types.KeySchemaElement) bool {
		return aws.ToString(a.AttributeName) == aws.ToString(b.AttributeName) && a.KeyType == b.KeyType
	})
}
