package functions

import "sync"

// phase is where an attempt stands in this process. The record's state is another matter: it is
// running until the attempt's end is written.
type phase int

// The phases. A phase after phaseStopping means that nothing new may begin: the attempt's end is
// near or past.
const (
	phaseClaimed   phase = iota + 1 // the lease is taken; the handler was not called yet
	phaseRunning                    // the handler runs
	phaseStopping                   // the handler was told to stop and has not returned
	phaseAbandoned                  // the handler did not stop in time: the end is being written without it
	phaseReturned                   // the handler has returned in time: the end is being written
	phaseRecorded                   // the end is written, or was given up
)

// phaseEvent is what happens to an attempt.
type phaseEvent int

// The events.
const (
	eventStart   phaseEvent = iota + 1 // Start, Execute or Run is called
	eventStop                          // the handler is told to stop
	eventReturn                        // the handler returns
	eventAbandon                       // the handler had its time to stop
	eventRecord                        // the end is written, or given up
)

// phases is the table of all steps from phase and event to phase. A step that is not in it is
// forbidden.
var phases = map[phase]map[phaseEvent]phase{
	phaseClaimed: {
		eventStart: phaseRunning,
		eventStop:  phaseClaimed, // begin tells the handler
	},
	phaseRunning: {
		eventStop:   phaseStopping,
		eventReturn: phaseReturned,
	},
	phaseStopping: {
		eventStop:    phaseStopping, // a lost lease replaces the first cause
		eventReturn:  phaseReturned,
		eventAbandon: phaseAbandoned,
	},
	phaseAbandoned: {
		eventStop:   phaseAbandoned, // the lease is lost while the end is being written
		eventReturn: phaseAbandoned, // too late to count
		eventRecord: phaseRecorded,
	},
	phaseReturned: {
		eventStop:    phaseReturned, // the writes of the handler go on, unless the lease is lost
		eventAbandon: phaseReturned, // they have gone on for too long
		eventRecord:  phaseRecorded,
	},
	phaseRecorded: {
		eventReturn: phaseRecorded, // of an abandoned handler
	},
}

// next returns the phase after an event. It is false for a step that is forbidden.
func (p phase) next(e phaseEvent) (phase, bool) {
	to, ok := phases[p][e]
	return to, ok
}

// over reports whether the attempt has its result, from the handler or without it.
func (p phase) over() bool { return p > phaseStopping }

// life is the phase of an attempt, and the lock of all that changes with it.
type life struct {
	mu    sync.Mutex
	phase phase
}

// advance takes the step for an event and reports whether it is allowed. A forbidden step changes
// nothing. The caller holds mu.
func (l *life) advance(e phaseEvent) bool {
	to, ok := l.phase.next(e)
	if ok {
		l.phase = to
	}
	return ok
}
