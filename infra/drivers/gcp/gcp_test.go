package gcp

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/api/googleapi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/pubsubq"
	"github.com/piecework/piecework/store"
)

func address(t *testing.T, url string) *drivers.Address {
	t.Helper()
	a, err := drivers.ParseAddress(url)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestURLsThatAreRefused(t *testing.T) {
	t.Setenv(emulator, "127.0.0.1:1")
	t.Setenv("PUBSUB_EMULATOR_HOST", "127.0.0.1:1")
	t.Setenv(storageEmulator, "127.0.0.1:1")
	set := drivers.New(Register)
	for url, want := range map[string]string{
		"firestore:///jobs": "no project",
		"firestore://p":     "one collection",
		"firestore://p/a/b": "one collection",
		"firestore://projects/p/databases/d/documents/jobs": "short form",
		"firestore://p/jobs?databse=x":                      `did you mean "database"?`,
		"gcppubsub://projects/p/topics/t-{queue}":           "short form",
		"gcppubsub://p/jobs":                                "{queue}",
		"gcppubsub://p/jobs-{queue}?subscription=jobs":      "{queue}",
		"gcppubsub://p/jobs-{queue}?prefech=1":              `did you mean "prefetch"?`,
		"gcppubsub://p/jobs-{queue}?hold=-1s":               "from 0s",
		"gs:///x":                                           "no bucket",
		"gs://b/x":                                          "path",
		"gs://b?private_key_path=x":                         "access_id",
		"gs://b?acces_id=x":                                 `did you mean "access_id"?`,
	} {
		var err error
		switch scheme, _, _ := strings.Cut(url, ":"); scheme {
		case "firestore":
			_, _, err = set.OpenStore(t.Context(), url)
		case "gcppubsub":
			_, err = set.OpenQueue(t.Context(), url)
		default:
			_, err = set.OpenBucket(t.Context(), url)
		}
		if !errors.Is(err, functions.ErrConfig) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", url, err, want)
		}
	}
}

func TestEverythingOpensOnEmulatorsWithoutCredentials(t *testing.T) {
	t.Setenv(emulator, "127.0.0.1:1")
	t.Setenv("PUBSUB_EMULATOR_HOST", "127.0.0.1:1")
	t.Setenv(storageEmulator, "127.0.0.1:1")
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", t.TempDir()+"/none")
	o, err := drivers.New(Register).Open(t.Context(), drivers.Config{
		Store: "firestore://p/jobs?database=d", Queues: "gcppubsub://p/jobs-{queue}", Blobs: "gs://b?prefix=x/",
	})
	if err != nil {
		t.Fatal(err)
	}
	if o.Queue.MaxDelay("default") != 0 {
		t.Error("Pub/Sub keeps messages back")
	}
	if err := o.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAClosedClientIsNotOpenedAgain(t *testing.T) {
	t.Setenv("PUBSUB_EMULATOR_HOST", "127.0.0.1:1")
	l, err := parseQueue(address(t, "gcppubsub://p/jobs-{queue}"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.get(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := l.close(t.Context()); err != nil {
		t.Errorf("close = %v", err)
	}
	if _, err := l.get(t.Context()); err == nil {
		t.Error("get after close = nil, want an error")
	}
}

func TestIndexesAsAFile(t *testing.T) {
	p, err := drivers.New(Register).Provisioner(drivers.Config{Store: "firestore://p/jobs?ttl=true"})
	if err != nil {
		t.Fatal(err)
	}
	text, err := p.Print()
	if err != nil {
		t.Fatal(err)
	}
	type field struct {
		FieldPath string `json:"fieldPath"`
		Order     string `json:"order"`
	}
	var got struct {
		Indexes []struct {
			CollectionGroup string  `json:"collectionGroup"`
			Fields          []field `json:"fields"`
		} `json:"indexes"`
		FieldOverrides []struct {
			TTL bool `json:"ttl"`
		} `json:"fieldOverrides"`
	}
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Indexes) != len(store.Indexes()) || len(got.FieldOverrides) != len(store.Columns())+1 ||
		!slices.Equal(got.Indexes[0].Fields, []field{{"due_pk", "ASCENDING"}, {"due_sk", "ASCENDING"}}) ||
		!slices.Equal(got.Indexes[1].Fields, []field{{"list_pk", "ASCENDING"}, {"list_sk", "DESCENDING"}}) ||
		got.Indexes[0].CollectionGroup != "jobs" || !got.FieldOverrides[7].TTL {
		t.Errorf("indexes differ from the store's, want due and list in order and an expiry:\n%s", text)
	}
	if index := composite(store.Indexes()[2]); index.GetFields()[1].GetOrder().String() != "DESCENDING" {
		t.Errorf(`composite: got %v, want index.GetFields()[1].GetOrder().String() == "DESCENDING"`, index)
	}
	t.Setenv(emulator, "127.0.0.1:1")
	if err := p.Apply(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestOriginOfAMessage(t *testing.T) {
	as := func(i any) bool {
		*i.(**pubsubpb.ReceivedMessage) = &pubsubpb.ReceivedMessage{Message: &pubsubpb.PubsubMessage{MessageId: "m"}, DeliveryAttempt: 3}
		return true
	}
	if got, want := origin(as), (pubsubq.Origin{ID: "m", Deliveries: 3}); got != want {
		t.Errorf("origin = %+v, want %+v", got, want)
	}
	if got := origin(func(any) bool { return false }); got != (pubsubq.Origin{}) {
		t.Errorf("origin of another broker's message = %+v, want none", got)
	}
}

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
