package store

import "slices"

// State is where a job stands.
type State string

// The states of a job. The last four are final: only an operator's retry leaves failed and
// cancelled.
const (
	// Held waits for an operator or a program to release it.
	Held State = "held"
	// Scheduled waits for its time: submitted for later, or snoozed by its handler.
	Scheduled State = "scheduled"
	// Queued waits for a worker. Its message is on the way; sweep sends another if the message was
	// lost.
	Queued State = "queued"
	// Running is held by an attempt under a lease.
	Running State = "running"
	// Retrying waits for the time of its next attempt.
	Retrying State = "retrying"
	// Blocked waits for other records: parents in a flow, or a lock.
	Blocked State = "blocked"
	// Succeeded has a result and its outputs are visible.
	Succeeded State = "succeeded"
	// Failed has used up its attempts, failed permanently or met its deadline.
	Failed State = "failed"
	// Cancelled was ended on request.
	Cancelled State = "cancelled"
	// Skipped was ended by its handler as not needed, or by a flow as not reachable.
	Skipped State = "skipped"
)

// States lists every state in the order in which a job may meet them.
func States() []State {
	return []State{Held, Scheduled, Queued, Running, Retrying, Blocked, Succeeded, Failed, Cancelled, Skipped}
}

// LiveStates lists the states that are not final.
func LiveStates() []State { return slices.DeleteFunc(States(), State.Final) }

// Final reports whether s is one of the four final states.
func (s State) Final() bool {
	switch s {
	case Succeeded, Failed, Cancelled, Skipped:
		return true
	default:
		return false
	}
}

// Valid reports whether s is a state that this version knows.
func (s State) Valid() bool { return slices.Contains(States(), s) }

// Event is what happens to a job.
type Event string

// The events. Each is raised by one verb of this package.
const (
	EventRelease   Event = "release"   // a held or blocked job may go
	EventDelay     Event = "delay"     // a held or blocked job may go, at its time
	EventStart     Event = "start"     // its time has come
	EventResend    Event = "resend"    // it waited long; its message may be lost
	EventClaim     Event = "claim"     // an attempt takes the lease
	EventHeartbeat Event = "heartbeat" // heartbeat, progress or checkpoint of the attempt
	EventSucceed   Event = "succeed"   // the handler returned a result
	EventRetry     Event = "retry"     // the attempt failed or was lost; another is due later
	EventRepeat    Event = "repeat"    // the attempt failed or was lost; another is due at once
	EventFail      Event = "fail"      // the last attempt failed or was lost, or the deadline passed
	EventSnooze    Event = "snooze"    // the handler asked to be called later
	EventContinue  Event = "continue"  // the handler goes on in a fresh invocation
	EventHandBack  Event = "hand back" // the worker shuts down
	EventSkip      Event = "skip"      // the handler found nothing to do
	EventCancel    Event = "cancel"    // ended on request
	EventRequeue   Event = "requeue"   // an operator retries it
)

// Events lists every event.
func Events() []Event {
	return []Event{
		EventRelease, EventDelay, EventStart, EventResend, EventClaim, EventHeartbeat, EventSucceed, EventRetry,
		EventRepeat, EventFail, EventSnooze, EventContinue, EventHandBack, EventSkip, EventCancel, EventRequeue,
	}
}

// moves is the whole state machine: state x event -> state. A pair that is not here is not allowed.
var moves = map[State]map[Event]State{
	Held: {
		EventRelease: Queued, EventDelay: Scheduled, EventCancel: Cancelled, EventFail: Failed,
	},
	Scheduled: {
		EventStart: Queued, EventClaim: Running, EventCancel: Cancelled, EventFail: Failed,
	},
	Queued: {
		EventResend: Queued, EventClaim: Running, EventCancel: Cancelled, EventFail: Failed,
	},
	Running: {
		EventHeartbeat: Running, EventSucceed: Succeeded, EventRetry: Retrying, EventRepeat: Queued, EventFail: Failed,
		EventSnooze: Scheduled, EventContinue: Queued, EventHandBack: Queued, EventSkip: Skipped,
		EventCancel: Cancelled,
	},
	Retrying: {
		EventStart: Queued, EventClaim: Running, EventCancel: Cancelled, EventFail: Failed,
	},
	Blocked: {
		EventRelease: Queued, EventDelay: Scheduled, EventCancel: Cancelled, EventFail: Failed, EventSkip: Skipped,
	},
	Failed:    {EventRequeue: Queued},
	Cancelled: {EventRequeue: Queued},
}

// Move returns the state that event e leads to from s, and whether the move is allowed.
func Move(s State, e Event) (State, bool) {
	to, ok := moves[s][e]
	return to, ok
}
