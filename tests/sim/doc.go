// Command sim plays random histories of Piecework and watches that its rules hold.
//
//	go run ./tests/sim -seeds 1000 -from 0       a thousand histories
//	go run ./tests/sim -seeds 1 -from 417 -v     one of them, told event by event
//	go run ./tests/sim -seeds 1000000 -from N    a nightly run: it tells each minute how far it is
//	go run ./tests/sim -mutants                  whether breaking each rule is noticed
//	go run ./tests/sim -exhaustive               every order of events of a small world
//
// # A world
//
// The code under test is the real one: functions.Runtime over store.Store and blobout.Store. Below
// it lie the stores of package fault and a queue that loses, doubles, delays and reorders.
// Processes crash between any two effects, freeze past their leases and go on, have clocks that are
// off, lack kinds, and are of two versions. Users submit jobs, with and without keys, one by one
// and many at once, by call and by message, and cancel, retry and release them.
//
// Every coroutine of a world gives the token back at each effect: each call of the document store,
// of the blob store and of the queue, each step of a handler, each pause. The seed decides who goes
// on, and what becomes of the effect. So a history is the same each time it is played, and a
// failing one is replayed by the line that is printed.
//
// Effects may happen late, when their callers have given up: a store stops answering for up to 25
// seconds, contexts end meanwhile as leases and the patience of users do, and what was asked for is
// applied afterwards, or never.
//
// A long run takes seeds that no run had before, for example the day's number times a million as N.
// It ends by itself, with status 1 if a rule was broken; each broken rule is printed as it is
// found, with the line that replays it.
//
// # Generations
//
// What is added to the worlds draws from random sources of its own and belongs to a generation, so
// that -generation 1 plays a seed in the worlds that there were then. testdata/corpus.txt keeps the
// seeds that found something, with their generations. A change of the code under test changes what
// a seed still plays.
//
// # The oracle
//
// It sees every write at the moment it is applied, and judges it by a model of its own (writes.go):
// who may write, from which state to which, how often a job may be tried, and that what has ended
// stays so. After the faults have stopped everything must end within maxSweeps sweeps; then package
// fsck and the oracle look at all that is stored (settle.go): no job is lost, each result and each
// file is what one undisturbed attempt would have written, nothing is left over.
//
// It also judges wasted time (waste.go): an attempt is lost only if a fault has met it, a handler
// is told to stop within its bound, heartbeats and checkpoints extend the lease, a permanent error
// is the last, a deadline is checked at a claim, and once the faults have stopped nothing starts
// later than its bound.
//
// # Where to read
//
// world.go has the scheduler, co.go the coroutines, hook.go the faults, proc.go processes, queue.go
// messages and their adapter, expiry.go the store that deletes by itself, plan.go what the jobs do,
// users.go what users do, versions.go the newer version, late.go what happens late, aim.go users
// who aim at awkward moments, oracle.go, writes.go, waste.go and settle.go the rules, mutants.go
// and mutants_waste.go the ways to break them, exhaustive.go the search, main.go the command.
package main
