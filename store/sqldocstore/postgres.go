package sqldocstore

import (
	"context"
	"net/url"

	"gocloud.dev/gcerrors"
)

var postgresParams = []string{"sslmode"}

type arrayArg struct {
	typ  ColumnType
	vals []any
}

func openPostgres(ctx context.Context, u *url.URL, l *layout) (*collection, error) { return nil, nil }

func postgresCode(err error) (gcerrors.ErrorCode, bool) { return 0, false }
