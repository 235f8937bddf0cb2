package azure

import (
	"errors"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"
)

// The codes with which Blob Storage refuses for lack of rights.
var blobRefusals = map[string]bool{
	"AuthorizationPermissionMismatch": true, "AuthorizationFailure": true, "InsufficientAccountPermissions": true,
	"AuthorizationResourceTypeMismatch": true, "AuthorizationServiceMismatch": true,
}

// denied says what to grant.
func denied(err error) string {
	if broker, ok := errors.AsType[*azservicebus.Error](err); ok {
		if broker.Code != azservicebus.CodeUnauthorizedAccess {
			return ""
		}
		return "grant this process's identity the roles Azure Service Bus Data Sender and Data Receiver, or use a key with the rights Send and Listen"
	}
	web, ok := errors.AsType[*azcore.ResponseError](err)
	if !ok {
		return ""
	}
	if blobRefusals[web.ErrorCode] {
		return "grant this process's identity the role Storage Blob Data Contributor on the container"
	}
	return ""
}
