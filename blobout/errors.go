package blobout

import (
	"errors"
	"fmt"

	"gocloud.dev/gcerrors"
)

var (
	// ErrNotFound says that there is no such blob.
	ErrNotFound = errors.New("no such blob")

	// ErrCorrupt says that a blob is not what was written: its size or its checksum differs.
	ErrCorrupt = errors.New("blob is not what was written")

	// ErrName says that a name cannot be used; the text says which rule it breaks.
	ErrName = errors.New("invalid name")

	// ErrUnsupported says that this kind of bucket cannot do it.
	ErrUnsupported = errors.New("not supported by this bucket")

	// ErrRange says that a read begins after the end, or before the beginning.
	ErrRange = errors.New("outside of the blob")

	// ErrClosed says that a writer has been closed or aborted.
	ErrClosed = errors.New("writer is closed")
)

// wrap says what was being done, and adds our sentinel to a gocloud error that means the same.
func wrap(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	what := fmt.Sprintf(format, args...)
	switch gcerrors.Code(err) {
	case gcerrors.NotFound:
		return fmt.Errorf("blobout: %s: %w: %w", what, ErrNotFound, err)
	case gcerrors.Unimplemented:
		return fmt.Errorf("blobout: %s: %w: %w", what, ErrUnsupported, err)
	}
	return fmt.Errorf("blobout: %s: %w", what, err)
}
