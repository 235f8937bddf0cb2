package azure

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus/admin"

	"github.com/piecework/piecework/infra/drivers"
)

// remarks judges what is Service Bus's own.
func (e *entity) remarks() []drivers.Remark {
	rs := []drivers.Remark{e.state(), e.session(), e.partition(), e.duplicate(), e.lifetime()}
	if e.deliveries > 0 && e.deliveries < leastDeliveries {
		rs = append(rs, drivers.Remark{
			What: "deliveries", Remedy: "set the maximal delivery count of " + e.name + " to 100",
			Why: fmt.Sprintf("a message is set aside after %d, which a restart of workers may use up; attempts are counted in the record", e.deliveries),
		})
	}
	if e.forward != "" {
		rs = append(rs, drivers.Remark{
			What: "forwarding", Why: "what comes to " + e.name + " goes on to " + e.forward + ", and nothing is received here",
			Remedy: "take the forwarding off", Fatal: true,
		})
	}
	return rs
}

func (e *entity) state() drivers.Remark {
	r := drivers.Remark{What: "state", Why: e.status}
	if e.status != string(admin.EntityStatusActive) {
		r.Remedy, r.Fatal = "set the status of "+e.name+" to Active", true
	}
	return r
}

func (e *entity) session() drivers.Remark {
	if !e.sessions {
		return drivers.Remark{What: "sessions", Why: "none are required"}
	}
	return drivers.Remark{
		What: "sessions", Why: e.name + " requires them: it refuses messages without a session, as all are here, and receivers too",
		Remedy: "make it anew without sessions", Fatal: true,
	}
}

func (e *entity) partition() drivers.Remark {
	if e.partitioned {
		return drivers.Remark{What: "partitions", Why: "messages are spread over several brokers, which hints do not mind: they need no order"}
	}
	return drivers.Remark{What: "partitions", Why: "not partitioned"}
}

func (e *entity) duplicate() drivers.Remark {
	if !e.duplicates {
		return drivers.Remark{What: "duplicates", Why: "none are looked for, and hints may come twice"}
	}
	return drivers.Remark{
		What: "duplicates", Why: fmt.Sprintf("they are looked for over %v, by message ids, of which hints have none", e.dedup),
	}
}

// leastLife is how long messages should live: a hint that is gone before a worker comes is sent again by sweep, later.
const leastLife = 10 * time.Minute

func (e *entity) lifetime() drivers.Remark {
	gone := "goes"
	if e.bury {
		gone = "becomes a dead letter"
	}
	r := drivers.Remark{What: "time to live"}
	switch {
	case e.life == 0 || e.life >= endless:
		r.Why = "messages wait for ever"
	default:
		r.Why = fmt.Sprintf("%v: what nobody has received by then %s, and sweep sends its hint again", e.life, gone)
	}
	if e.life > 0 && e.life < leastLife {
		r.Remedy = "set the default time to live of " + e.name + " to a day"
	}
	return r
}

// locks compares the lock with how often this driver renews it.
func (e *entity) locks(renew time.Duration) []drivers.Remark {
	if e.lock == 0 || renew < e.lock {
		return nil
	}
	return []drivers.Remark{{
		What: "lock renewal", Why: fmt.Sprintf("every %v, when a lock of %v has run out: messages come again while their jobs still run", renew, e.lock),
		Remedy: fmt.Sprintf("set the lock duration of %s to 1m, or renew= in PIECEWORK_QUEUES to %v", e.name, max(e.lock/3, time.Second).Round(time.Second)),
		Fatal:  true,
	}}
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
	if _, ok := errors.AsType[adminError](err); ok {
		if web.StatusCode != http.StatusUnauthorized && web.StatusCode != http.StatusForbidden {
			return ""
		}
		return "grant who runs the doctor the role Azure Service Bus Data Owner, or use a key with the right Manage"
	}
	if blobRefusals[web.ErrorCode] {
		return "grant this process's identity the role Storage Blob Data Contributor on the container"
	}
	return ""
}
