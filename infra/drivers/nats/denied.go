package nats

import (
	"errors"

	"github.com/nats-io/nats.go"
)

// denied says what to grant.
func denied(err error) string {
	switch {
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired):
		return "give this process credentials that the NATS server knows"
	case errors.Is(err, nats.ErrPermissionViolation):
		return "allow this process's user to publish and to subscribe on the queues' subjects, on $JS.API.> and on _INBOX.>"
	default:
		return ""
	}
}
