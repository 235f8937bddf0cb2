// Package gcp registers Firestore as a store, Pub/Sub as queues, and Google Cloud Storage as
// buckets.
//
// # URLs
//
//	firestore://PROJECT/COLLECTION
//	gcppubsub://PROJECT/piecework-{queue}      the topic of a queue
//	gs://BUCKET
//
// # Parameters
//
// Of firestore:
//
//	database=(default)   the database
//	parallel=16          requests of one bulk write at a time
//	ttl=false            true: init lets Firestore delete by the time in "expires", and jobs without files get one, which
//	                     spares sweep to remove them. The same for all processes, and for init
//
// Of gcppubsub:
//
//	subscription=        the subscription of a queue; default: the topic's name
//	prefetch=1           messages fetched at a time
//	hold=15m             how long the ack deadline of a message is extended while it is held here
//
// Of gs:
//
//	prefix=              a folder in the bucket
//	access_id=, private_key_path=   who signs URLs, if that is not whom the credentials name
//	anonymous=false      no credentials: public buckets
//	universe_domain=     another universe than googleapis.com
//
// # Environment and credentials
//
// Application default credentials: GOOGLE_APPLICATION_CREDENTIALS, gcloud's, the service's or the
// machine's. With FIRESTORE_EMULATOR_HOST, PUBSUB_EMULATOR_HOST and STORAGE_EMULATOR_HOST the
// emulators are used, without credentials.
//
// Rights: roles/datastore.user; roles/pubsub.publisher on the topics and roles/pubsub.subscriber on
// the subscriptions; roles/storage.objectUser. URLs are signed with the key of the credentials, or,
// where they have none (Cloud Run, GKE), by IAM, which needs roles/iam.serviceAccountTokenCreator
// on the account itself. The provisioner needs roles/datastore.indexAdmin. The doctor also reads
// the subscriptions, with roles/pubsub.viewer.
//
// # Limits
//
// A document is at most 1 MiB. A collection takes 500 new documents a second at first, and more
// after some minutes. A message is at most 10 MB. Names of topics begin with a letter.
//
// # Delivery
//
// At least once. A nacked message comes again at once, or as the subscription's retry policy says.
// Messages are received by package pubsubpull. Push subscriptions to Cloud Run do not need it: the
// adapter receives them.
//
// Reads and queries of Firestore are strongly consistent. What Firestore refuses because it is
// asked for too much is left to package store, which waits, with jitter and longer each time; no
// request lasts longer than ten seconds.
//
// # Delay
//
// None: sweep starts what is due.
package gcp

import (
	"errors"
	"net/http"
	"regexp"
	"strings"

	"google.golang.org/api/googleapi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/piecework/piecework/infra/drivers"
)

// Register registers the store firestore, the queues gcppubsub, and the bucket gs.
func Register(s *drivers.Set) {
	s.AddStore("firestore", drivers.StoreDriver{
		Open: openStore, Provisioner: provisioner, TTL: ttl,
	})
	s.AddQueue("gcppubsub", openQueue)
	s.AddBucket("gs", openBucket)
	s.AddDenial(denied)
}

// name checks the path of a URL, which must be one name; what says of what.
func name(a *drivers.Address, what string) (string, error) {
	path := strings.Trim(a.Path, "/")
	// gocloud's long form takes "projects" for the project; so it is refused, with the short one.
	if a.Host == "projects" {
		return "", a.Errorf("want the short form: %s://PROJECT/%s", a.Scheme, strings.ToUpper(what))
	}
	if path == "" || strings.Contains(path, "/") {
		return "", a.Errorf("want one %s after the project: %s://PROJECT/%s", what, a.Scheme, strings.ToUpper(what))
	}
	return path, nil
}

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
