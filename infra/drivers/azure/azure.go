// Package azure registers Service Bus as queues and Azure Blob Storage as buckets. Cosmos DB is in
// package mongo.
//
// # URLs
//
//	azuresb://NAMESPACE.servicebus.windows.net/piecework-{queue}    a queue, or its topic
//	azuresb:///piecework-{queue}                                    the namespace of the connection string
//	azblob://CONTAINER?storage_account=ACCOUNT
//
// # Parameters
//
// Of azuresb:
//
//	subscription=       the subscription of a queue, if the path names a topic
//	prefetch=1          messages fetched at a time
//	renew=10s           how often the lock of a message is renewed while it is held here
//	hold=15m            how long that goes on for one message
//
// Of azblob:
//
//	storage_account=    the account; default AZURE_STORAGE_ACCOUNT
//	domain=, protocol=  another service than blob.core.windows.net by https
//	localemu=false      the emulator's form of URLs
//	prefix=             a folder in the container
//
// # Environment and credentials
//
// Service Bus: SERVICEBUS_CONNECTION_STRING, or the identity that Azure's library finds:
// AZURE_CLIENT_ID and its kin, a managed identity, the command line's login. Blob Storage:
// AZURE_STORAGE_ACCOUNT with AZURE_STORAGE_KEY, AZURE_STORAGE_SAS_TOKEN or
// AZURE_STORAGE_CONNECTION_STRING, or the same identity.
//
// Rights: Azure Service Bus Data Sender and Data Receiver; Storage Blob Data Contributor. URLs can
// be signed with the account's key only.
//
// # Limits
//
// A message is at most 256 KB, on the premium tier 100 MB. A queue gives a message back
// maxDeliveryCount times (10 by default) and then moves it to its dead letters: set it high, since
// attempts are counted in the record.
//
// # Delivery
//
// At least once, by peek and lock; see package servicebus. A nacked message comes again at once. A
// lock that was lost makes the message come again.
//
// # Delay
//
// Of any length, by the scheduled enqueue time.
package azure

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"
	"gocloud.dev/pubsub"

	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/pubsubq"
	"github.com/piecework/piecework/pubsubq/servicebus"
)

// connectionVariable holds a connection string of Service Bus.
const connectionVariable = "SERVICEBUS_CONNECTION_STRING"

// Register registers the queues azuresb and the bucket azblob.
func Register(s *drivers.Set) {
	s.AddQueue("azuresb", openQueue)
	s.AddBucket("azblob", openBucket)
	s.AddDenial(denied)
}

// queues is what an azuresb URL says, and the client, which all queues share.
type queues struct {
	host               string
	name, subscription string // with "{queue}"
	prefetch           int
	renew, hold        time.Duration
	connection         string

	mu     sync.Mutex
	client *azservicebus.Client
	closed bool
}

func parseQueue(a *drivers.Address) (*queues, error) {
	l := &queues{
		host: a.Host, name: strings.Trim(a.Path, "/"), subscription: a.Params.String("subscription", ""),
		prefetch:   a.Params.Int("prefetch", 1, 1, 1000),
		renew:      a.Params.Duration("renew", 10*time.Second, time.Second, time.Minute),
		hold:       a.Params.Duration("hold", 15*time.Minute, 0, 24*time.Hour),
		connection: os.Getenv(connectionVariable),
	}
	if err := a.Check(); err != nil {
		return nil, err
	}
	if err := a.WantPlaceholder(l.name); err != nil {
		return nil, err
	}
	switch {
	case l.connection == "" && l.host == "":
		return nil, a.Errorf("it names no namespace: want azuresb://NAMESPACE.servicebus.windows.net/..., or set %s", connectionVariable)
	case l.connection != "":
		namespace := endpoint(l.connection)
		if namespace == "" {
			return nil, a.Errorf("%s names no endpoint: copy it again from the portal", connectionVariable)
		}
		if l.host != "" && !strings.EqualFold(l.host, namespace) {
			return nil, a.Errorf("%s is for %s: leave the namespace out of the URL, or unset the variable", connectionVariable, namespace)
		}
	}
	return l, nil
}

// endpoint is the host in a connection string, such as Endpoint=sb://HOST/;SharedAccessKeyName=...
func endpoint(connection string) string {
	for part := range strings.SplitSeq(connection, ";") {
		name, value, _ := strings.Cut(part, "=")
		if strings.EqualFold(name, "Endpoint") {
			_, host, _ := strings.Cut(value, "://")
			return strings.TrimRight(host, "/")
		}
	}
	return ""
}

func openQueue(_ context.Context, a *drivers.Address, log *slog.Logger) (drivers.Queue, error) {
	l, err := parseQueue(a)
	if err != nil {
		return nil, err
	}
	return drivers.NewQueue(drivers.Broker{
		Topic: func(_ context.Context, queue string) (*pubsub.Topic, error) {
			client, err := l.get()
			if err != nil {
				return nil, err
			}
			return servicebus.OpenTopic(client, drivers.ForQueue(l.name, queue))
		},
		Subscription: func(_ context.Context, queue string) (*pubsub.Subscription, error) {
			client, err := l.get()
			if err != nil {
				return nil, err
			}
			return servicebus.OpenSubscription(client, drivers.ForQueue(l.name, queue), &servicebus.Options{
				Subscription: drivers.ForQueue(l.subscription, queue), Prefetch: l.prefetch, Renew: l.renew, Hold: cmp.Or(l.hold, -1),
			})
		},
		MaxDelay: servicebus.MaxDelay, Delay: servicebus.DelayHook, Origin: origin, Close: l.close,
	}, log), nil
}

// get returns the client, which dials again by itself.
func (l *queues) get() (*azservicebus.Client, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, errors.New("client is closed")
	}
	if l.client != nil {
		return l.client, nil
	}
	client, err := l.connect()
	if err != nil {
		return nil, fmt.Errorf("connect to Service Bus: %w", err)
	}
	l.client = client
	return client, nil
}

func (l *queues) connect() (*azservicebus.Client, error) {
	if l.connection != "" {
		return azservicebus.NewClientFromConnectionString(l.connection, nil)
	}
	cred, err := azidentity.NewDefaultAzureCredential(nil)
	if err != nil {
		return nil, err
	}
	return azservicebus.NewClient(l.host, cred, nil)
}

// close closes the client, and with it the links of all queues.
func (l *queues) close(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.client == nil {
		return nil
	}
	return l.client.Close(ctx)
}

// origin reads what Service Bus tells of a message. The id is the sender's, who may have given
// none.
func origin(as func(any) bool) pubsubq.Origin {
	var m *azservicebus.ReceivedMessage
	if !as(&m) {
		return pubsubq.Origin{}
	}
	return pubsubq.Origin{ID: m.MessageID, Deliveries: int(m.DeliveryCount)}
}

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
