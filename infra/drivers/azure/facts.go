package azure

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus/admin"

	"github.com/piecework/piecework/infra/drivers"
)

// mostHidden is the longest lock that Service Bus has.
const mostHidden = 5 * time.Minute

// leastDeliveries is what a queue gets if nobody says otherwise.
const leastDeliveries = 10

// entity is what the administration tells of a lane's queue, or of its topic and subscription.
type entity struct {
	name, topic                             string // for people; topic is "" for a queue
	lock, life, dedup                       time.Duration
	deliveries, waiting                     int
	sessions, partitioned, duplicates, bury bool
	forward, status                         string
}

// errNoEntity says that there is no such queue, topic or subscription.
var errNoEntity = errors.New("it does not exist")

// adminError is an error of the administration, which wants other rights than messages do.
type adminError struct {
	about string
	err   error
}

// detail finds what the administration says of an error.
var detail = regexp.MustCompile(`<Detail>([^<]*)</Detail>`)

// Error is on one line. The library's shows the whole answer, framed.
func (e adminError) Error() string {
	text := e.err.Error()
	if web, ok := errors.AsType[*azcore.ResponseError](e.err); ok {
		m := detail.FindStringSubmatch(text)
		if text = fmt.Sprintf("the answer is %d %s", web.StatusCode, http.StatusText(web.StatusCode)); m != nil {
			text += ": " + strings.TrimSpace(m[1])
		}
	}
	return e.about + ": " + text
}

// Unwrap is the error of the library.
func (e adminError) Unwrap() error { return e.err }

// inspect tells how a lane's queue, or its subscription, is set up.
func (l *lanes) inspect(ctx context.Context, lane string) (*drivers.LaneFacts, error) {
	if emulated(l.connection) {
		return &drivers.LaneFacts{Unseen: "this is an emulator, to whose administration Azure's library does not speak"}, nil
	}
	client, err := l.administer()
	if err != nil {
		return nil, fmt.Errorf("connect to Service Bus's administration: %w", err)
	}
	e, err := l.look(ctx, client, lane)
	if err != nil {
		return nil, err
	}
	f := &drivers.LaneFacts{
		Hidden: e.lock, HiddenName: "lock", HiddenRemedy: "set the lock duration of " + e.name, Factor: 1, Most: mostHidden,
		Extended: true, Pulled: true, // no function is called by these queues
		DeadLetters: drivers.Yes, DeadLetterQueue: e.name + "/$DeadLetterQueue", Deliveries: e.deliveries, Waiting: e.waiting,
		DeadRemedy: "mend what made them fail, then move them back or delete them: jobs are not lost by it, because sweep sends their hints again",
		Remarks:    append(e.remarks(), e.locks(l.renew)...),
	}
	return f, nil
}

// administer makes a client of the administration, which is another than that of messages.
func (l *lanes) administer() (*admin.Client, error) {
	opts := &admin.ClientOptions{ClientOptions: azcore.ClientOptions{Transport: l.transport}}
	if l.connection != "" {
		return admin.NewClientFromConnectionString(l.connection, opts)
	}
	cred, err := azidentity.NewDefaultAzureCredential(nil)
	if err != nil {
		return nil, err
	}
	return admin.NewClient(l.host, cred, opts)
}

// look asks for what there is to know of a lane.
func (l *lanes) look(ctx context.Context, client *admin.Client, lane string) (*entity, error) {
	name := drivers.InLane(l.name, lane)
	if l.subscription != "" {
		return lookSubscription(ctx, client, name, drivers.InLane(l.subscription, lane))
	}
	e := &entity{name: "queue " + name}
	q, err := there(client.GetQueue(ctx, name, nil))
	if err != nil {
		return nil, adminError{"configuration of " + e.name, err}
	}
	var wrong error
	e.lock, wrong = period(wrong, q.LockDuration)
	e.life, wrong = period(wrong, q.DefaultMessageTimeToLive)
	e.dedup, wrong = period(wrong, q.DuplicateDetectionHistoryTimeWindow)
	e.deliveries, e.sessions, e.partitioned = int(value(q.MaxDeliveryCount)), value(q.RequiresSession), value(q.EnablePartitioning)
	e.duplicates, e.bury = value(q.RequiresDuplicateDetection), value(q.DeadLetteringOnMessageExpiration)
	e.forward, e.status = value(q.ForwardTo), string(value(q.Status))
	counts, err := there(client.GetQueueRuntimeProperties(ctx, name, nil))
	if err = errors.Join(wrong, err); err != nil {
		return nil, adminError{"state of " + e.name, err}
	}
	e.waiting = int(counts.DeadLetterMessageCount)
	return e, nil
}

func lookSubscription(ctx context.Context, client *admin.Client, topic, name string) (*entity, error) {
	e := &entity{name: fmt.Sprintf("subscription %s of topic %s", name, topic), topic: topic}
	t, err := there(client.GetTopic(ctx, topic, nil))
	if err != nil {
		return nil, adminError{"configuration of topic " + topic, err}
	}
	s, err := there(client.GetSubscription(ctx, topic, name, nil))
	if err != nil {
		return nil, adminError{"configuration of " + e.name, err}
	}
	var wrong error
	e.lock, wrong = period(wrong, s.LockDuration)
	e.life, wrong = period(wrong, s.DefaultMessageTimeToLive)
	e.dedup, wrong = period(wrong, t.DuplicateDetectionHistoryTimeWindow)
	e.deliveries, e.sessions, e.partitioned = int(value(s.MaxDeliveryCount)), value(s.RequiresSession), value(t.EnablePartitioning)
	e.duplicates, e.bury = value(t.RequiresDuplicateDetection), value(s.DeadLetteringOnMessageExpiration)
	e.forward, e.status = value(s.ForwardTo), string(value(s.Status))
	if state := value(t.Status); state != admin.EntityStatusActive && e.status == string(admin.EntityStatusActive) {
		e.status = string(state)
	}
	counts, err := there(client.GetSubscriptionRuntimeProperties(ctx, topic, name, nil))
	if err = errors.Join(wrong, err); err != nil {
		return nil, adminError{"state of " + e.name, err}
	}
	e.waiting = int(counts.DeadLetterMessageCount)
	return e, nil
}

// there is what the client found. For what does not exist it gives neither that nor an error.
func there[T any](found *T, err error) (*T, error) {
	if err == nil && found == nil {
		err = errNoEntity
	}
	return found, err
}

// value is what a pointer points to, or nothing.
func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// isoPeriod is a period as Service Bus writes them, such as PT1M or P10675199DT2H48M5.4775807S.
var isoPeriod = regexp.MustCompile(`^P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?$`)

// endless stands for periods that are longer than anybody waits.
const endless = 100 * 365 * 24 * time.Hour

// period reads a period, 0 if there is none, and joins what is wrong with it to what was wrong before.
func period(wrong error, text *string) (time.Duration, error) {
	if text == nil {
		return 0, wrong
	}
	m := isoPeriod.FindStringSubmatch(*text)
	if m == nil {
		return 0, errors.Join(wrong, fmt.Errorf("%q is not a period", *text))
	}
	seconds := 0.0
	for i, unit := range []float64{24 * 3600, 3600, 60, 1} {
		n, _ := strconv.ParseFloat(m[i+1], 64) // digits, or nothing
		seconds += n * unit
	}
	if seconds >= endless.Seconds() {
		return endless, wrong
	}
	return time.Duration(seconds * float64(time.Second)), wrong
}

// emulated tells a connection string of Microsoft's emulator.
func emulated(connection string) bool {
	for part := range strings.SplitSeq(connection, ";") {
		name, value, _ := strings.Cut(part, "=")
		if on, err := strconv.ParseBool(strings.TrimSpace(value)); strings.EqualFold(strings.TrimSpace(name), "UseDevelopmentEmulator") && err == nil && on {
			return true
		}
	}
	return false
}
