package wire

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/store"
)

func TestCodesNameErrorsAndBack(t *testing.T) {
	for want, err := range map[string]error{
		"not_found": store.ErrNotFound, "no_output": functions.ErrNoOutput, "key_conflict": functions.ErrKeyConflict,
		"wrong_state": store.ErrMove, "newer_record": store.ErrNewerRecord, "unknown_kind": functions.ErrUnknownKind,
		"args": functions.ErrArgs, "too_large": store.ErrTooLarge, "invalid": functions.ErrInvalid, "cursor": store.ErrCursor,
		"corrupt": store.ErrCorrupt, "unavailable": store.ErrUnavailable, "shut_down": functions.ErrClosed,
		"timeout": context.DeadlineExceeded,
	} {
		p := &Problem{Code: functions.ErrorCode(fmt.Errorf("wrapped: %w", err))}
		if p.Code != want || !errors.Is(p, err) {
			t.Errorf("the code of %q is %q, want %q; the problem matches the error: %v, want true", err, p.Code, want, errors.Is(p, err))
		}
	}
	if functions.ErrorCode(errors.New("other")) != "" || errors.Is(&Problem{Code: "not_found"}, functions.ErrArgs) {
		t.Error("an error matches what it is not")
	}
	if p := NewProblem(499, ""); p.Title == "" || p.Error() == "" || errors.Is(p, context.Canceled) || errors.Is(p, store.ErrNotFound) {
		t.Errorf(`NewProblem: got %+v, want p.Title != "" && p.Error() != "" && not errors.Is(p, context.Canceled) && not errors.Is(p, store.ErrNotFound)`, p)
	}
}
