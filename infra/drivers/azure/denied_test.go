package azure

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"
)

func TestWhatMustBeGranted(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{fmt.Errorf("x: %w", &azservicebus.Error{Code: azservicebus.CodeUnauthorizedAccess}), "Data Sender and Data Receiver"},
		{&azservicebus.Error{Code: azservicebus.CodeTimeout}, ""},
		{fmt.Errorf("x: %w", &azcore.ResponseError{StatusCode: 403, ErrorCode: "AuthorizationPermissionMismatch"}), "Storage Blob Data Contributor"},
		{&azcore.ResponseError{StatusCode: 404, ErrorCode: "ContainerNotFound"}, ""},
		{errors.New("AuthorizationFailure, says a proxy"), ""},
		{nil, ""},
	} {
		if got := denied(c.err); !strings.Contains(got, c.want) || (c.want == "") != (got == "") {
			t.Errorf("%v: %q, want %q", c.err, got, c.want)
		}
	}
}
