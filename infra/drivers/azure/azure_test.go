package azure

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"
	"gocloud.dev/gcerrors"
	"gocloud.dev/pubsub/driver"

	"github.com/piecework/piecework/blobout"
	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/infra/drivers"
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
	if q.Sender().MaxDelay("default") != MaxDelay {
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
		t.Errorf("%s, %v", u, err)
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

func TestMessagesCarryMetadataAndADelay(t *testing.T) {
	m := &driver.Message{Body: []byte("x"), Metadata: map[string]string{"traceparent": "t"}}
	m.BeforeSend = func(as func(any) bool) error { return delay(as, time.Hour) }
	out, err := outgoing(m)
	if err != nil || string(out.Body) != "x" || out.ApplicationProperties["traceparent"] != "t" || time.Until(*out.ScheduledEnqueueTime) < 59*time.Minute {
		t.Errorf("%+v, %v", out, err)
	}
	got := incoming(&azservicebus.ReceivedMessage{Body: out.Body, ApplicationProperties: map[string]any{"traceparent": "t", "n": 1}})
	if string(got.Body) != "x" || len(got.Metadata) != 1 || got.Metadata["traceparent"] != "t" {
		t.Errorf("%+v", got)
	}
}

// fake is a receiver with one message.
type fake struct {
	mu       sync.Mutex
	message  *azservicebus.ReceivedMessage
	renewed  int
	complete int
	err      error
}

func (f *fake) ReceiveMessages(ctx context.Context, _ int, _ *azservicebus.ReceiveMessagesOptions) ([]*azservicebus.ReceivedMessage, error) {
	f.mu.Lock()
	m, err := f.message, f.err
	f.message = nil
	f.mu.Unlock()
	if m != nil {
		return []*azservicebus.ReceivedMessage{m}, nil
	}
	if err != nil {
		return nil, err
	}
	<-ctx.Done()
	return nil, ctx.Err()
}

func (f *fake) CompleteMessage(context.Context, *azservicebus.ReceivedMessage, *azservicebus.CompleteMessageOptions) error {
	f.complete++
	return f.err
}

func (f *fake) AbandonMessage(context.Context, *azservicebus.ReceivedMessage, *azservicebus.AbandonMessageOptions) error {
	return f.err
}

func (f *fake) RenewMessageLock(context.Context, *azservicebus.ReceivedMessage, *azservicebus.RenewMessageLockOptions) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.renewed++
	return f.err
}

func (f *fake) Close(context.Context) error { return nil }

func TestLocksAreRenewedWhileAMessageIsHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{message: &azservicebus.ReceivedMessage{MessageID: "m"}}
		s := newSubscription(f, "jobs", 10*time.Second, time.Hour)
		ms, err := s.ReceiveBatch(t.Context(), 1)
		if err != nil || len(ms) != 1 {
			t.Fatal(ms, err)
		}
		time.Sleep(35 * time.Second)
		synctest.Wait()
		if f.renewed != 3 {
			t.Errorf("renewed %d times", f.renewed)
		}
		if err := s.SendAcks(t.Context(), []driver.AckID{ms[0].AckID}); err != nil || f.complete != 1 {
			t.Errorf("completed %d times, %v", f.complete, err)
		}
		time.Sleep(time.Minute)
		if f.renewed != 3 {
			t.Errorf("renewed %d times after the ack", f.renewed)
		}
		if ms, err := s.ReceiveBatch(t.Context(), 1); ms != nil || err != nil {
			t.Errorf("an empty queue gives %v, %v", ms, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestALostLockIsNoErrorAndOthersAre(t *testing.T) {
	f := &fake{err: &azservicebus.Error{Code: azservicebus.CodeLockLost}}
	s := newSubscription(f, "jobs", time.Minute, time.Hour)
	ids := []driver.AckID{&azservicebus.ReceivedMessage{MessageID: "m"}}
	if err := errors.Join(s.SendAcks(t.Context(), ids), s.SendNacks(t.Context(), ids)); err != nil {
		t.Error(err)
	}
	f.err = &azservicebus.Error{Code: azservicebus.CodeUnauthorizedAccess}
	if err := s.SendAcks(t.Context(), ids); s.ErrorCode(err) != gcerrors.PermissionDenied || s.IsRetryable(err) {
		t.Errorf("error %v", err)
	}
	if _, err := s.ReceiveBatch(t.Context(), 1); s.ErrorCode(err) != gcerrors.PermissionDenied {
		t.Errorf("error %v", err)
	}
}
