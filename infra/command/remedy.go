package command

import (
	"context"
	"errors"

	"gocloud.dev/gcerrors"

	"github.com/piecework/piecework/functions"
)

// remedies says what to do about an error, by its class. Classes that are not listed have the remedy of Unknown.
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

var (
	storeRemedies = remedies{
		gcerrors.InvalidArgument:  "correct " + envStore,
		gcerrors.NotFound:         "run init, or correct the table's name in " + envStore,
		gcerrors.PermissionDenied: "grant this process to read, write, delete and query on what " + envStore + " names, its indexes too",
		gcerrors.DeadlineExceeded: "nothing answered: check the address in " + envStore + ", the network and its firewall",
		gcerrors.Unknown:          "check that what " + envStore + " names is up and that init has been run on it, and the credentials",
	}
	initRemedies = remedies{
		gcerrors.InvalidArgument:  "correct " + envStore,
		gcerrors.PermissionDenied: "grant this process to create tables and indexes there, or give what init --print prints to somebody who may",
		gcerrors.DeadlineExceeded: "nothing answered: check the address in " + envStore + ", the network and its firewall",
		gcerrors.Unknown:          "check that what " + envStore + " names is up, and the credentials",
	}
	queryRemedies = remedies{
		gcerrors.PermissionDenied: "grant this process to query the indexes of what " + envStore + " names",
		gcerrors.Unknown:          "the index may be missing: run init, or create what init --print prints, on what " + envStore + " names",
	}
	queueRemedies = remedies{
		gcerrors.InvalidArgument:  "correct " + envQueues,
		gcerrors.NotFound:         "create the lane's queue, or its topic and subscription, or correct its name in " + envQueues,
		gcerrors.PermissionDenied: "grant this process to send, receive and acknowledge on the lane's queue that " + envQueues + " names",
		gcerrors.DeadlineExceeded: "nothing answered: check the address in " + envQueues + ", the network and its firewall",
		gcerrors.Unknown:          "check that the broker that " + envQueues + " names is up and has the lane's queue, and the credentials",
	}
	blobRemedies = remedies{
		gcerrors.InvalidArgument:  "correct " + envBlobs,
		gcerrors.NotFound:         "create the bucket, or correct its name in " + envBlobs,
		gcerrors.PermissionDenied: "grant this process to read, write, list and delete below jobs/ in the bucket that " + envBlobs + " names",
		gcerrors.DeadlineExceeded: "nothing answered: check the address in " + envBlobs + ", the network and its firewall",
		gcerrors.Unknown:          "check that the bucket that " + envBlobs + " names exists and can be written to, and the credentials",
	}
)
