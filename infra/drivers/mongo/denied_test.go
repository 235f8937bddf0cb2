package mongo

import (
	"errors"
	"fmt"
	"testing"

	"go.mongodb.org/mongo-driver/mongo"
)

func TestWhatMustBeGranted(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{
			fmt.Errorf("x: %w", mongo.CommandError{Code: 13, Message: `not authorized on jobs to execute command { find: "records", filter: {} }`}),
			"grant this process's user the role readWrite on database jobs, or one that may find there",
		},
		{mongo.CommandError{Code: 13, Message: "Unauthorized"}, "grant this process's user the role readWrite on the database"},
		{mongo.CommandError{Code: 11000}, ""},
		{errors.New("not authorized on jobs to execute command { find: 1 }, says a proxy"), ""},
	} {
		if got := denied(c.err); got != c.want {
			t.Errorf("%v: %q, want %q", c.err, got, c.want)
		}
	}
}
