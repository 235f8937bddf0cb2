package azure

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"

	"github.com/piecework/piecework/blobout"
	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/pubsubq"
	"github.com/piecework/piecework/pubsubq/servicebus"
)

const connection = "Endpoint=sb://jobs.servicebus.windows.net/;SharedAccessKeyName=k;SharedAccessKey=aHVudGVyMg=="

func TestURLsThatAreRefused(t *testing.T) {
	set := drivers.New(Register)
	for _, name := range []string{"AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGEBLOB_CONNECTIONSTRING", "AZURE_STORAGE_SAS_TOKEN"} {
		t.Setenv(name, "")
	}
	for raw, want := range map[string]struct{ env, text string }{
		"azuresb:///jobs-{queue}":                             {"", "NAMESPACE"},
		"azuresb://h/jobs":                                    {"", "{queue}"},
		"azuresb://h/jobs-{queue}?prefech=1":                  {"", `did you mean "prefetch"?`},
		"azuresb://h/jobs-{queue}?renew=1ms":                  {"", "from 1s"},
		"azuresb://other.servicebus.windows.net/jobs-{queue}": {connection, "is for jobs.servicebus.windows.net"},
		"azuresb:///jobs-{queue}?hold=1m":                     {"nonsense-hunter2", "names no endpoint"},
		"azblob://":                                           {"", "no container"},
		"azblob://c/x":                                        {"", "path"},
		"azblob://c":                                          {"", "no account"},
		"azblob://c?storage_acount=a":                         {"", `did you mean "storage_account"?`},
		"azblob://c?storage_account=a&protocol=ftp":           {"", "ftp"},
	} {
		t.Setenv(connectionVariable, want.env)
		var err error
		if strings.HasPrefix(raw, "azblob") {
			_, err = set.OpenBucket(t.Context(), raw)
		} else {
			_, err = set.OpenQueue(t.Context(), raw)
		}
		if !errors.Is(err, functions.ErrConfig) || !strings.Contains(err.Error(), want.text) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: error %v, want %q", raw, err, want.text)
		}
	}
}

func TestOpeningNeedsNoServer(t *testing.T) {
	t.Setenv(connectionVariable, connection)
	t.Setenv("AZURE_STORAGE_ACCOUNT", "devstoreaccount1")
	t.Setenv("AZURE_STORAGE_KEY", "aHVudGVyMg==")
	set := drivers.New(Register)
	q, err := set.OpenQueue(t.Context(), "azuresb:///jobs-{queue}?subscription=workers-{queue}")
	if err != nil {
		t.Fatal(err)
	}
	if q.Sender().MaxDelay("default") != servicebus.MaxDelay {
		t.Error("Service Bus keeps no messages back")
	}
	if err := q.Close(t.Context()); err != nil {
		t.Error(err)
	}
	b, err := set.OpenBucket(t.Context(), "azblob://c?protocol=http&domain=127.0.0.1:10000&localemu=true&prefix=jobs/")
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if u, err := b.SignedURL(t.Context(), "k", nil); err != nil || !strings.HasPrefix(u, "http://127.0.0.1:10000/devstoreaccount1/c/jobs%2Fk?") {
		t.Errorf(`b.SignedURL: got %s, %v, want no error && strings.HasPrefix(u, "http://127.0.0.1:10000/devstoreaccount1/c/jobs%%2Fk?")`, u, err)
	}
}

// A container that refuses an upload is an error that says why, and no panic of gocloud's writer.
func TestAFailedUploadSaysWhy(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Ms-Error-Code", "AuthorizationFailure")
		w.WriteHeader(http.StatusForbidden)
	}))
	defer server.Close()
	t.Setenv("AZURE_STORAGE_ACCOUNT", "devstoreaccount1")
	t.Setenv("AZURE_STORAGE_KEY", "aHVudGVyMg==")
	a, err := drivers.ParseAddress("azblob://c?protocol=http&localemu=true&domain=" + strings.TrimPrefix(server.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := openBucket(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	_, err = blobout.New(b.Bucket, &blobout.Options{Upload: b.Upload}).Put(t.Context(), "job-1", "result", []byte("1"))
	if err == nil || !strings.Contains(err.Error(), "AuthorizationFailure") {
		t.Errorf("error %v", err)
	}
}

func TestATokenStaysWithItsAccount(t *testing.T) {
	t.Setenv("AZURE_STORAGE_ACCOUNT", "mine")
	t.Setenv("AZURE_STORAGE_SAS_TOKEN", "sig=x")
	if _, err := drivers.New(Register).OpenBucket(t.Context(), "azblob://c?domain=evil.example"); !errors.Is(err, functions.ErrConfig) {
		t.Errorf("error %v", err)
	}
}

func TestOriginOfAMessage(t *testing.T) {
	as := func(i any) bool {
		*i.(**azservicebus.ReceivedMessage) = &azservicebus.ReceivedMessage{MessageID: "m", DeliveryCount: 3}
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
