package gcp

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	admin "cloud.google.com/go/firestore/apiv1/admin"
	"cloud.google.com/go/firestore/apiv1/admin/adminpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/store"
)

func provisioner(a *drivers.Address, _ bool) (drivers.Provisioner, error) {
	p, err := parseStore(a)
	if err != nil {
		return nil, err
	}
	return &indexes{p}, nil
}

// indexes are the composite indexes of the collection, and the exemptions of its fields from the
// indexes that Firestore keeps by itself. No query uses them; each costs a write, and those over
// fields that only grow, such as the times, limit the collection to 500 writes a second.
type indexes struct{ *place }

// descending tells which index is read newest first. Firestore wants the order in the index.
func descending(fields []string) bool { return fields[0] != "due_pk" }

// Print returns the file firestore.indexes.json, for the command line tool of Firebase.
func (x *indexes) Print() (string, error) {
	type pair = map[string]any
	var composite, overrides []pair
	for _, fields := range store.Indexes() {
		order := "ASCENDING"
		if descending(fields) {
			order = "DESCENDING"
		}
		composite = append(composite, pair{
			"collectionGroup": x.collection, "queryScope": "COLLECTION",
			"fields": []pair{{"fieldPath": fields[0], "order": "ASCENDING"}, {"fieldPath": fields[1], "order": order}},
		})
	}
	for _, f := range store.Columns() {
		overrides = append(overrides, pair{"collectionGroup": x.collection, "fieldPath": f, "indexes": []pair{}})
	}
	if x.ttl {
		overrides = append(overrides, pair{"collectionGroup": x.collection, "fieldPath": store.ExpiresField, "ttl": true, "indexes": []pair{}})
	}
	text, err := json.MarshalIndent(pair{"indexes": composite, "fieldOverrides": overrides}, "", "  ")
	return string(text) + "\n", err
}

// Apply creates the indexes, and waits until they can be used. An emulator needs none.
func (x *indexes) Apply(ctx context.Context) error {
	if os.Getenv(emulator) != "" {
		return nil
	}
	client, err := admin.NewFirestoreAdminClient(ctx)
	if err != nil {
		return fmt.Errorf("connect to Firestore's administration: %w", err)
	}
	defer client.Close()
	group := fmt.Sprintf("projects/%s/databases/%s/collectionGroups/%s", x.project, x.database, x.collection)
	var waits []func() error
	for _, fields := range store.Indexes() {
		op, err := client.CreateIndex(ctx, &adminpb.CreateIndexRequest{Parent: group, Index: composite(fields)})
		if status.Code(err) == codes.AlreadyExists {
			continue
		}
		if err != nil {
			return fmt.Errorf("create index over %v: %w", fields, err)
		}
		waits = append(waits, func() error { _, err := op.Wait(ctx); return err })
	}
	for _, f := range store.Columns() {
		if err := x.update(ctx, client, group, f, "index_config"); err != nil {
			return err
		}
	}
	if x.ttl {
		if err := x.update(ctx, client, group, store.ExpiresField, "ttl_config", "index_config"); err != nil {
			return err
		}
	}
	for _, wait := range waits {
		if err := wait(); err != nil {
			return fmt.Errorf("wait for an index of %s: %w", x.collection, err)
		}
	}
	return nil
}

// update takes a field out of the automatic indexes, and may turn expiry on. It does not wait:
// reads do not depend on it.
func (x *indexes) update(ctx context.Context, client *admin.FirestoreAdminClient, group, field string, paths ...string) error {
	_, err := client.UpdateField(ctx, &adminpb.UpdateFieldRequest{
		Field: &adminpb.Field{
			Name: group + "/fields/" + field, IndexConfig: &adminpb.Field_IndexConfig{}, TtlConfig: &adminpb.Field_TtlConfig{},
		},
		UpdateMask: &fieldmaskpb.FieldMask{Paths: paths},
	})
	if err != nil && status.Code(err) != codes.AlreadyExists {
		return fmt.Errorf("configure field %s of %s: %w", field, x.collection, err)
	}
	return nil
}

func composite(fields []string) *adminpb.Index {
	order := adminpb.Index_IndexField_ASCENDING
	if descending(fields) {
		order = adminpb.Index_IndexField_DESCENDING
	}
	field := func(name string, o adminpb.Index_IndexField_Order) *adminpb.Index_IndexField {
		return &adminpb.Index_IndexField{FieldPath: name, ValueMode: &adminpb.Index_IndexField_Order_{Order: o}}
	}
	return &adminpb.Index{
		QueryScope: adminpb.Index_COLLECTION,
		Fields:     []*adminpb.Index_IndexField{field(fields[0], adminpb.Index_IndexField_ASCENDING), field(fields[1], order)},
	}
}
