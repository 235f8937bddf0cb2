package gcp

import (
	"errors"
	"net/http"
	"regexp"
	"strings"

	"google.golang.org/api/googleapi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// The forms in which Google's services name the permission that is missing.
var (
	permissionDenied = regexp.MustCompile(`[Pp]ermission '?([a-z]+(?:\.[A-Za-z]+)+)'? denied`)
	noAccess         = regexp.MustCompile(`does not have ([a-z]+(?:\.[A-Za-z]+)+) (?:access|permission)`)
)

// denied says what to grant.
func denied(err error) string {
	var text, permission string
	if web, ok := errors.AsType[*googleapi.Error](err); ok {
		if web.Code != http.StatusForbidden {
			return ""
		}
		text = web.Message + " " + web.Body
	} else {
		s, ok := status.FromError(err)
		if !ok || s.Code() != codes.PermissionDenied {
			return ""
		}
		text = s.Message() + " " + err.Error()
		for _, d := range s.Details() {
			if info, ok := d.(interface{ GetMetadata() map[string]string }); ok { // an errdetails.ErrorInfo
				permission = info.GetMetadata()["permission"]
			}
		}
	}
	for _, form := range []*regexp.Regexp{permissionDenied, noAccess} {
		if m := form.FindStringSubmatch(text); permission == "" && m != nil {
			permission = m[1]
		}
	}
	switch {
	case permission != "":
		return "grant this process's service account a role with the permission " + permission
	case strings.Contains(text, "/subscriptions/"):
		return "grant this process's service account roles/pubsub.subscriber on the subscription"
	case strings.Contains(text, "/topics/"):
		return "grant this process's service account roles/pubsub.publisher on the topic"
	case strings.Contains(text, "insufficient permissions"):
		return "grant this process's service account roles/datastore.user"
	default:
		return ""
	}
}
