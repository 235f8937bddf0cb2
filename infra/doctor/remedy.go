package doctor

import (
	"context"
	"errors"
	"fmt"

	"gocloud.dev/gcerrors"

	"github.com/piecework/piecework/functions"
)

// remedies says what to do about an error, by its class. Classes that are not listed have the
// remedy of Unknown.
type remedies map[gcerrors.ErrorCode]string

func (r remedies) of(err error) string {
	code := gcerrors.Code(err)
	if errors.Is(err, functions.ErrConfig) {
		code = gcerrors.InvalidArgument
	}
	if errors.Is(err, context.DeadlineExceeded) {
		code = gcerrors.DeadlineExceeded
	}
	if text, ok := r[code]; ok {
		return text
	}
	return r[gcerrors.Unknown]
}

// service returns the remedies for the service that a variable names.
func service(variable, missing, rights, up string) remedies {
	return remedies{
		gcerrors.InvalidArgument:  "correct " + variable,
		gcerrors.NotFound:         fmt.Sprintf("%s, or correct its name in %s", missing, variable),
		gcerrors.PermissionDenied: fmt.Sprintf("grant this process to %s that %s names", rights, variable),
		gcerrors.DeadlineExceeded: "nothing answered: check the address in " + variable + ", the network and its firewall",
		gcerrors.Unknown:          fmt.Sprintf("check that what %s names %s, and the credentials", variable, up),
	}
}

var (
	storeRemedies = service("PIECEWORK_STORE", "run init to create the table", "read, write, delete and query on the table and its indexes",
		"is up and that init has been run on it")
	queueRemedies = service("PIECEWORK_QUEUES", "create the queue, or its topic and subscription", "send, receive and acknowledge on the queue",
		"is up and has the queue")
	blobRemedies = service("PIECEWORK_BLOBS", "create the bucket", "read, write, list and delete below jobs/ in the bucket",
		"exists and can be written to")
	queryRemedies = remedies{
		gcerrors.PermissionDenied: "grant this process to query the indexes of what PIECEWORK_STORE names",
		gcerrors.Unknown:          missingIndex,
	}
)

const (
	missingIndex = "the index may be missing: run init, or create what init --print prints, on what PIECEWORK_STORE names"
	faultyStore  = "do not use this store or its proxy: jobs would run twice or be lost; PIECEWORK_STORE must name one with conditional writes"
	otherProbe   = "set PIECEWORK_PROBE_QUEUE to a queue that no worker pulls from, and check again"
)
