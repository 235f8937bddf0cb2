package sqlpubsub

import (
	"context"
	"errors"
	"strings"

	"gocloud.dev/gcerrors"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// errorAs finds the database's own error, such as *pgconn.PgError or *sqlite.Error.
func errorAs(err error, i any) bool { return errors.As(err, i) }

// sqlState is what errors of PostgreSQL's clients have: a code of its manual, appendix A.
type sqlState interface{ SQLState() string }

func codeOf(err error) gcerrors.ErrorCode {
	switch {
	case errors.Is(err, ErrClosed):
		return gcerrors.FailedPrecondition
	case errors.Is(err, context.Canceled):
		return gcerrors.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return gcerrors.DeadlineExceeded
	}
	var server sqlState
	if errors.As(err, &server) {
		switch code := server.SQLState(); {
		case code == "42P01":
			return gcerrors.NotFound
		case code == "42501":
			return gcerrors.PermissionDenied
		case strings.HasPrefix(code, "53"):
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
