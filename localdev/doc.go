// Package localdev is all of Piecework in one process: for a laptop, for a small server, and for tests.
//
// # Running
//
//	jobs := functions.NewRegistry()
//	functions.Handle(jobs, "hello", hello)
//	stack, err := localdev.Start(ctx, jobs, localdev.Config{})
//	...
//	_, err = stack.Client().Submit(ctx, "hello", args)
//	...
//	err = stack.Stop(ctx)
//
// Start opens a store (SQLite in a file of the data directory), blobs (files beside it) and a queue in this process,
// and starts a worker that sweeps. What is accepted survives the death of the process, also by power failure. A
// process that starts on the data of one that died sends again what waits, and picks up what ran when its leases have
// run out: with the default [Timing], ten seconds after they were last extended. Several processes may share one data
// directory.
//
// # Testing handlers
//
// [New] gives a test the same system in virtual time, on one goroutine and in memory, in a few milliseconds:
//
//	kit := localdev.New(t, jobs)
//	id := kit.Submit("banking.statement", args)
//	kit.Wait(id) // moves the clock through retries and schedules
//	kit.RequireSucceeded(id)
//
// [Torture] runs handlers under duplicate deliveries, lost leases, and a crash at each thing that they write, and
// reports what differs from an undisturbed run.
//
// # Where things are
//
// config.go has the configuration, stack.go the running system, dir.go its data directory,
// open.go the opening of what it stands on, remedy.go
// what to do when that fails; kit.go the test kit, kit_run.go its clock, kit_assert.go its assertions, desk.go what it
// stands on; torture.go the torture run.
package localdev
