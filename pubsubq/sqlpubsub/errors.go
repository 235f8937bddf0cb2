package sqlpubsub

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5/pgconn"
	"gocloud.dev/gcerrors"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// errorAs finds *pgconn.PgError and *sqlite.Error.
func errorAs(err error, i any) bool {
	switch target := i.(type) {
	case **pgconn.PgError:
		return errors.As(err, target)
	case **sqlite.Error:
		return errors.As(err, target)
	}
	return false
}

func codeOf(err error) gcerrors.ErrorCode {
	switch {
	case errors.Is(err, ErrClosed):
		return gcerrors.FailedPrecondition
	case errors.Is(err, context.Canceled):
		return gcerrors.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return gcerrors.DeadlineExceeded
	}
	if server, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch {
		case server.Code == "42P01":
			return gcerrors.NotFound
		case server.Code == "42501":
			return gcerrors.PermissionDenied
		case server.Code[:min(2, len(server.Code))] == "53":
			return gcerrors.ResourceExhausted
		}
		return gcerrors.Unknown
	}
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		switch e.Code() & 0xff {
		case sqlite3.SQLITE_FULL, sqlite3.SQLITE_TOOBIG:
			return gcerrors.ResourceExhausted
		case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM:
			return gcerrors.PermissionDenied
		}
	}
	return gcerrors.Unknown
}
