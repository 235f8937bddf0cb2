package azure

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"

	"github.com/piecework/piecework/infra/drivers"
)

// The servers here answer as Service Bus's administration does, in Atom, by its documentation and by what Azure's library,
// which is the real one, reads. None of it was run against the real service, nor were its refusals.

// entry is an answer about an entity. The real one has more, which the library does not read either.
func entry(kind, name, settings string) string {
	return `<entry xmlns="http://www.w3.org/2005/Atom"><id>https://x.servicebus.windows.net/` + name + `?api-version=2021-05</id>` +
		`<title type="text">` + name + `</title><published>2026-01-02T03:04:05Z</published><updated>2026-01-02T03:04:05Z</updated>` +
		`<author><name>x</name></author><link rel="self" href="https://x.servicebus.windows.net/` + name + `?api-version=2021-05"/>` +
		`<content type="application/xml"><` + kind + ` xmlns="http://schemas.microsoft.com/netservices/2010/10/servicebus/connect" ` +
		`xmlns:i="http://www.w3.org/2001/XMLSchema-instance">` + settings + `</` + kind + `></content></entry>`
}

// noEntry is the answer about a queue that does not exist.
const noEntry = `<feed xmlns="http://www.w3.org/2005/Atom"><title type="text">Publicly Listed Services</title>` +
	`<subtitle type="text">This is the list of publicly-listed services currently available.</subtitle>` +
	`<id>uuid:1;id=1</id><updated>2026-01-02T03:04:05Z</updated><generator>Service Bus 1.1</generator></feed>`

const (
	dates  = `<CreatedAt>2026-01-02T03:04:05.0000000Z</CreatedAt><UpdatedAt>2026-01-02T03:04:05.0000000Z</UpdatedAt><AccessedAt>0001-01-01T00:00:00</AccessedAt>`
	counts = `<MessageCount>3</MessageCount><CountDetails xmlns:d2p1="http://schemas.microsoft.com/netservices/2011/06/servicebus"><d2p1:ActiveMessageCount>3</d2p1:ActiveMessageCount>` +
		`<d2p1:DeadLetterMessageCount>%d</d2p1:DeadLetterMessageCount><d2p1:ScheduledMessageCount>0</d2p1:ScheduledMessageCount>` +
		`<d2p1:TransferMessageCount>0</d2p1:TransferMessageCount><d2p1:TransferDeadLetterMessageCount>0</d2p1:TransferDeadLetterMessageCount></CountDetails>`
	whole = `<LockDuration>PT1M</LockDuration><RequiresDuplicateDetection>false</RequiresDuplicateDetection><RequiresSession>false</RequiresSession>` +
		`<DefaultMessageTimeToLive>P10675199DT2H48M5.4775807S</DefaultMessageTimeToLive><DuplicateDetectionHistoryTimeWindow>PT10M</DuplicateDetectionHistoryTimeWindow>` +
		`<MaxDeliveryCount>100</MaxDeliveryCount><Status>Active</Status><EnablePartitioning>false</EnablePartitioning>`
)

// administration answers requests by their paths; others get a 404, and what has no answer a 403.
func administration(t *testing.T, answers map[string]string) *lanes {
	t.Helper()
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.Header.Get("Authorization"), "SharedAccessSignature ") || r.URL.Query().Get("api-version") == "" || r.Method != http.MethodGet {
			t.Errorf("request %s %s, authorization %q", r.Method, r.URL, r.Header.Get("Authorization"))
		}
		text, ok := answers[r.URL.Path]
		switch {
		case !ok:
			w.WriteHeader(http.StatusNotFound)
		case text == "":
			w.WriteHeader(http.StatusForbidden)
		case strings.HasPrefix(text, "<Error><Code>401</Code>"):
			w.WriteHeader(http.StatusUnauthorized)
		}
		_, _ = io.WriteString(w, text) // a client that is gone needs no answer
	}))
	t.Cleanup(s.Close)
	return &lanes{
		name: "piecework-{queue}", renew: 10 * time.Second, transport: s.Client(),
		connection: "Endpoint=sb://" + s.Listener.Addr().String() + "/;SharedAccessKeyName=doctor;SharedAccessKey=a2V5",
	}
}

// remark finds what was said of something.
func remark(t *testing.T, f *drivers.LaneFacts, what string) drivers.Remark {
	t.Helper()
	for _, r := range f.Remarks {
		if r.What == what {
			return r
		}
	}
	t.Fatalf("nothing is said of %s: %+v", what, f.Remarks)
	return drivers.Remark{}
}

func TestAQueueThatIsInOrder(t *testing.T) {
	l := administration(t, map[string]string{"/piecework-default": entry("QueueDescription", "piecework-default", whole+dates+fmt.Sprintf(counts, 0))})
	f, err := l.inspect(t.Context(), "default")
	if err != nil {
		t.Fatal(err)
	}
	if f.Hidden != time.Minute || f.HiddenName != "lock" || !f.Pulled || f.DeadLetters != drivers.Yes || f.Deliveries != 100 || f.Waiting != 0 ||
		f.DeadLetterQueue != "queue piecework-default/$DeadLetterQueue" {
		t.Errorf("%+v", f)
	}
	for _, r := range f.Remarks {
		if r.Remedy != "" || r.Fatal {
			t.Errorf("found in a queue that is in order: %+v", r)
		}
	}
	for what, want := range map[string]string{
		"state": "Active", "sessions": "none", "partitions": "not partitioned", "duplicates": "none are looked for", "time to live": "wait for ever",
	} {
		if r := remark(t, f, what); !strings.Contains(r.Why, want) {
			t.Errorf("%+v, want %q", r, want)
		}
	}
}

func TestAQueueThatIsNotInOrder(t *testing.T) {
	l := administration(t, map[string]string{"/piecework-default": entry("QueueDescription", "piecework-default",
		`<LockDuration>PT5S</LockDuration><RequiresDuplicateDetection>true</RequiresDuplicateDetection><RequiresSession>true</RequiresSession>`+
			`<DefaultMessageTimeToLive>PT1M30.5S</DefaultMessageTimeToLive><DeadLetteringOnMessageExpiration>true</DeadLetteringOnMessageExpiration>`+
			`<DuplicateDetectionHistoryTimeWindow>P1DT2H</DuplicateDetectionHistoryTimeWindow><MaxDeliveryCount>3</MaxDeliveryCount>`+
			`<Status>ReceiveDisabled</Status><EnablePartitioning>true</EnablePartitioning><ForwardTo>elsewhere</ForwardTo>`+dates+fmt.Sprintf(counts, 7))})
	f, err := l.inspect(t.Context(), "default")
	if err != nil {
		t.Fatal(err)
	}
	if f.Hidden != 5*time.Second || f.Deliveries != 3 || f.Waiting != 7 || !strings.Contains(f.DeadRemedy, "move them back") {
		t.Errorf("%+v", f)
	}
	for what, c := range map[string]struct {
		why, remedy string
		fatal       bool
	}{
		"state":        {"ReceiveDisabled", "to Active", true},
		"sessions":     {"requires them", "without sessions", true},
		"forwarding":   {"goes on to elsewhere", "take the forwarding off", true},
		"lock renewal": {"every 10s, when a lock of 5s has run out", "renew= in PIECEWORK_QUEUES to 2s", true},
		"deliveries":   {"set aside after 3", "to 100", false},
		"time to live": {"1m30.5s: what nobody has received by then becomes a dead letter", "to a day", false},
		"duplicates":   {"over 26h0m0s", "", false},
		"partitions":   {"several brokers", "", false},
	} {
		r := remark(t, f, what)
		if !strings.Contains(r.Why, c.why) || !strings.Contains(r.Remedy, c.remedy) || (c.remedy == "") != (r.Remedy == "") || r.Fatal != c.fatal {
			t.Errorf("%+v, want %+v", r, c)
		}
	}
}

func TestASubscription(t *testing.T) {
	answers := map[string]string{
		"/piecework-default": entry("TopicDescription", "piecework-default", `<RequiresDuplicateDetection>true</RequiresDuplicateDetection>`+
			`<DuplicateDetectionHistoryTimeWindow>PT20S</DuplicateDetectionHistoryTimeWindow><Status>Active</Status><EnablePartitioning>true</EnablePartitioning>`+dates),
		"/piecework-default/Subscriptions/jobs-default": entry("SubscriptionDescription", "jobs-default",
			`<LockDuration>PT30S</LockDuration><RequiresSession>false</RequiresSession><DefaultMessageTimeToLive>P14D</DefaultMessageTimeToLive>`+
				fmt.Sprintf(counts, 2)+`<MaxDeliveryCount>10</MaxDeliveryCount><Status>Active</Status>`+dates),
	}
	l := administration(t, answers)
	l.subscription = "jobs-{queue}"
	f, err := l.inspect(t.Context(), "default")
	if err != nil {
		t.Fatal(err)
	}
	if f.Hidden != 30*time.Second || f.Deliveries != 10 || f.Waiting != 2 || !strings.HasPrefix(f.DeadLetterQueue, "subscription jobs-default of topic piecework-default") {
		t.Errorf("%+v", f)
	}
	for what, want := range map[string]string{"duplicates": "over 20s", "partitions": "several", "time to live": "336h0m0s: what nobody has received by then goes"} {
		if r := remark(t, f, what); !strings.Contains(r.Why, want) || r.Remedy != "" {
			t.Errorf("%+v, want %q", r, want)
		}
	}
	answers["/piecework-default"] = strings.Replace(answers["/piecework-default"], "Active", "SendDisabled", 1)
	if f, err = l.inspect(t.Context(), "default"); err != nil || remark(t, f, "state").Why != "SendDisabled" {
		t.Errorf("error %v, %+v", err, f)
	}
}

func TestWhatIsNotThereOrNotToBeSeen(t *testing.T) {
	l := administration(t, map[string]string{
		"/piecework-default": noEntry,
		"/piecework-odd":     entry("QueueDescription", "piecework-odd", `<LockDuration>a while</LockDuration>`+dates+fmt.Sprintf(counts, 0)),
		"/piecework-secret":  `<Error><Code>401</Code><Detail>Manage,EntityRead claims required for this operation.</Detail></Error>`,
		"/piecework-silent":  "",
	})
	for lane, want := range map[string]string{
		"default": "queue piecework-default: it does not exist", "other": "queue piecework-other: it does not exist",
		"odd": `"a while" is not a period`, "secret": "configuration of queue piecework-secret: the answer is 401 Unauthorized: Manage,EntityRead claims required for this operation.",
		"silent": "configuration of queue piecework-silent: the answer is 403 Forbidden",
	} {
		f, err := l.inspect(t.Context(), lane)
		if f != nil || err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %+v, error %v, want %q", lane, f, err, want)
		}
		if grant := denied(err); (grant != "") != (lane[0] == 's') || grant != "" && !strings.Contains(grant, "Data Owner") {
			t.Errorf("%s: %q", lane, grant)
		}
	}
	l.subscription = "jobs-{queue}"
	if _, err := l.inspect(t.Context(), "default"); err == nil || !strings.Contains(err.Error(), "topic piecework-default: it does not exist") {
		t.Errorf("error %v", err)
	}
}

func TestAnEmulatorHasNoAdministration(t *testing.T) {
	l := &lanes{name: "piecework-{queue}", connection: "Endpoint=sb://localhost;SharedAccessKeyName=x;SharedAccessKey=a2V5;UseDevelopmentEmulator=true;"}
	f, err := l.inspect(t.Context(), "default")
	if err != nil || !strings.Contains(f.Unseen, "emulator") {
		t.Errorf("%+v, error %v", f, err)
	}
	if emulated("Endpoint=sb://h/;SharedAccessKeyName=UseDevelopmentEmulator;SharedAccessKey=true") {
		t.Error("a key's name is taken for a switch")
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
		{adminError{"x", &azcore.ResponseError{StatusCode: 403}}, "Data Owner"},
		{adminError{"x", &azcore.ResponseError{StatusCode: 500}}, ""},
		{errors.New("AuthorizationFailure, says a proxy"), ""},
		{nil, ""},
	} {
		if got := denied(c.err); !strings.Contains(got, c.want) || (c.want == "") != (got == "") {
			t.Errorf("%v: %q, want %q", c.err, got, c.want)
		}
	}
}
