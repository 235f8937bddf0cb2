package runtimeapi

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/google/uuid"
)

// Result is what came of an invocation.
type Result struct {
	RequestID string
	Payload   []byte // the answer, or the description of the error; of a streamed answer only the latter
	// FunctionError is "" or "Unhandled", as in the header X-Amz-Function-Error.
	FunctionError string
	Cold          bool          // an environment was started for it
	Init          time.Duration // from the start of the program to its first call for work; of cold ones
	Duration      time.Duration // from the hand-over of the event to the end of the answer
	Total         time.Duration // from the beginning of Invoke, start included, to the end of the answer
}

// invocation is one on its way. The first to finish it decides.
type invocation struct {
	id       string
	payload  []byte
	deadline time.Time
	stream   answer // where a streamed answer goes; nil: it is kept
	done     chan struct{}
	lose     bool           // the answer is lost
	answered chan struct{}  // it was, if lose is set
	writers  sync.WaitGroup // requests that bring the answer

	once   sync.Once
	result Result
	at     time.Time
}

// answer gets a streamed answer.
type answer interface {
	io.Writer
	head(h http.Header)
}

// finish ends the invocation with a result, unless it has ended.
func (i *invocation) finish(r Result) {
	i.once.Do(func() {
		i.at = time.Now()
		i.result = r
		close(i.done)
	})
}

// Invoke calls the function and waits for its answer. The error is not the function's but the service's: ErrThrottled,
// ErrClosed or ErrPayload. An invocation that has begun comes to its end.
func (f *Function) Invoke(ctx context.Context, payload []byte) (Result, error) {
	return f.invoke(ctx, payload, nil)
}

func (f *Function) invoke(ctx context.Context, payload []byte, stream answer) (Result, error) {
	if len(payload) > MaxPayload {
		return Result{}, ErrPayload
	}
	if err := ctx.Err(); err != nil {
		return Result{}, err
	}
	begun := time.Now()
	e, number, err := f.acquire()
	if err != nil {
		return Result{}, err
	}
	inv := &invocation{id: uuid.NewString(), payload: payload, stream: stream, done: make(chan struct{}), answered: make(chan struct{}, 1)}
	cold := e.process == nil
	var initTime time.Duration
	if cold {
		e = f.start(e, inv)
		initTime = time.Since(e.started)
	} else {
		e.wake()
	}
	warm := false
	if !inv.ended() {
		var killAfter time.Duration
		killAfter, inv.lose = f.chaos(number)
		warm = e.handle(inv, killAfter)
	}
	inv.writers.Wait() // a streamed answer that was cut off is not written to any more
	f.release(e, warm)
	r := inv.result
	r.RequestID, r.Cold, r.Init = inv.id, cold, initTime
	r.Total = inv.at.Sub(begun)
	return r, nil
}

// start starts an environment. If that fails it is tried once more, in the function's time; if that fails too, the
// invocation has ended.
func (f *Function) start(e *environment, inv *invocation) *environment {
	if _, ok := e.init(f.cfg.Init); ok {
		return e
	}
	f.count(func(s *Stats) { s.InitFailures++ })
	again := newEnvironment(f)
	f.mu.Lock()
	delete(f.busy, e)
	f.busy[again] = true
	f.mu.Unlock()
	e.close()
	if r, ok := again.init(f.cfg.Timeout); !ok {
		f.count(func(s *Stats) { s.InitFailures++ })
		inv.finish(r)
	}
	return again
}

// chaos decides when the environment of an invocation is killed, negative: not, and whether its answer is lost.
func (f *Function) chaos(number int) (killAfter time.Duration, lose bool) {
	c := f.cfg.Chaos
	random := rand.New(rand.NewPCG(c.Seed, uint64(number)))
	lucky, luckyAnswer := random.Float64() >= c.Share, random.Float64() >= c.Lost
	if lucky || c.Within <= 0 {
		return -1, !luckyAnswer
	}
	return time.Duration(random.Int64N(int64(c.Within))), !luckyAnswer
}

func (i *invocation) ended() bool {
	select {
	case <-i.done:
		return true
	default:
		return false
	}
}

// handle hands an invocation to an environment and waits for its end. It reports whether the environment can be used
// again.
func (e *environment) handle(inv *invocation, killAfter time.Duration) bool {
	begun := time.Now()
	inv.deadline = begun.Add(e.fn.cfg.Timeout)
	e.mu.Lock()
	e.current = inv
	e.mu.Unlock()
	defer func() {
		e.mu.Lock()
		e.current = nil
		e.mu.Unlock()
		inv.result.Duration = inv.at.Sub(begun)
	}()
	deadline := time.NewTimer(time.Until(inv.deadline))
	defer deadline.Stop()
	var kill <-chan time.Time
	if killAfter >= 0 {
		timer := time.NewTimer(killAfter)
		defer timer.Stop()
		kill = timer.C
	}
	work := e.work
	for {
		select {
		case work <- inv:
			work = nil
			e.tell(inv)
		case <-inv.done:
			return e.rest(inv.deadline)
		case <-e.process.exited:
			e.fn.count(func(s *Stats) { s.Exits++ })
			inv.finish(exited(inv.id, e.process.err))
			return false
		case <-kill:
			return e.strike(inv)
		case <-inv.answered:
			return e.strike(inv)
		case <-deadline.C:
			e.process.kill()
			e.fn.count(func(s *Stats) { s.Timeouts++ })
			inv.finish(unhandled("Sandbox.Timedout", fmt.Sprintf("RequestId: %s Error: Task timed out after %.2f seconds",
				inv.id, e.fn.cfg.Timeout.Seconds())))
			return false
		}
	}
}

// strike kills the environment of an invocation.
func (e *environment) strike(inv *invocation) bool {
	e.process.kill()
	e.fn.count(func(s *Stats) { s.Kills++ })
	inv.finish(exited(inv.id, e.process.err))
	return false
}

// unhandled is an error that the service reports of a function.
func unhandled(kind, text string) Result {
	payload, err := json.Marshal(map[string]string{"errorType": kind, "errorMessage": text})
	if err != nil {
		panic(err) // two strings
	}
	return Result{FunctionError: "Unhandled", Payload: payload}
}

// exited is the error of a program that has ended.
func exited(id string, how error) Result {
	text := "Runtime exited without providing a reason"
	if how != nil {
		text = "Runtime exited with error: " + how.Error()
	}
	if id != "" {
		text = "RequestId: " + id + " Error: " + text
	}
	return unhandled("Runtime.ExitError", text)
}
