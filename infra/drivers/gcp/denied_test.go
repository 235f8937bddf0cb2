package gcp

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/api/googleapi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestWhatMustBeGranted(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{status.Error(codes.PermissionDenied, "Permission 'datastore.entities.get' denied on resource '//firestore' (or it may not exist)."), "permission datastore.entities.get"},
		{&googleapi.Error{Code: 403, Message: "a@b does not have storage.objects.create access to the Google Cloud Storage object."}, "permission storage.objects.create"},
		{fmt.Errorf("pull from projects/p/subscriptions/s: %w", status.Error(codes.PermissionDenied, "User not authorized to perform this action.")), "roles/pubsub.subscriber"},
		{status.Error(codes.PermissionDenied, "not authorized: projects/p/topics/t"), "roles/pubsub.publisher"},
		{status.Error(codes.PermissionDenied, "Missing or insufficient permissions."), "roles/datastore.user"},
		{status.Error(codes.NotFound, "projects/p/topics/t"), ""},
		{&googleapi.Error{Code: 404, Message: "does not have storage.objects.create access"}, ""},
		{errors.New("permission denied"), ""},
	} {
		if got := denied(c.err); !strings.Contains(got, c.want) || (got == "") != (c.want == "") {
			t.Errorf("%v: %q, want %q", c.err, got, c.want)
		}
	}
}
