package main

import (
	"context"
	"fmt"

	"github.com/FerretDB/wire/wirebson"
	"github.com/jackc/pgx/v5"
)

// index gives PostgreSQL indexes for the id and for the first field of each index that a command has created. FerretDB
// asks whether a field contains a value, which no index of its own can answer.
func index(ctx context.Context, postgres string, create *wirebson.Document) error {
	fields := []string{"_id"}
	if specs := list(create.Get("indexes")); specs != nil {
		for i := range specs.Len() {
			if spec := document(specs.Get(i)); spec != nil {
				fields = append(fields, document(spec.Get("key")).Command()) // its first field
			}
		}
	}
	schema, _ := create.Get("$db").(string)
	conn, err := pgx.Connect(ctx, postgres)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	rows, err := conn.Query(ctx, `SELECT tablename FROM pg_tables WHERE schemaname = $1 AND tablename NOT LIKE '\_ferretdb%'`, schema)
	if err != nil {
		return err
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, table := range tables {
		for _, field := range fields {
			name := pgx.Identifier{table + "_gin_" + field}.Sanitize()
			sql := fmt.Sprintf(`CREATE INDEX IF NOT EXISTS %s ON %s USING gin ((_jsonb->'%s') jsonb_path_ops) WITH (fastupdate = off)`,
				name, pgx.Identifier{schema, table}.Sanitize(), field)
			if _, err := conn.Exec(ctx, sql); err != nil {
				return fmt.Errorf("%s: %w", sql, err)
			}
		}
	}
	return nil
}
