// Package throttle tests what becomes of jobs when the store throttles: they slow down, and none fails for it.
//
// Verbs_test.go refuses each verb of package store a few times, in the ways of DynamoDB, Cosmos DB and Firestore as
// package fault plays them, and looks at how it waits. load_test.go runs a thousand jobs through workers against a store
// that refuses most of what it is asked, on simulated time. The module tests/servers has the same against the
// stores' own protocols, with the libraries of their vendors.
//
// # What holds
//
// A job that was accepted succeeds or fails by what its handler returns, however much the store refuses, and an attempt
// keeps its job for as long as one heartbeat gets through within a lease: it is tried again and again, with jitter,
// until the lease has run out. So are checkpoints and the end of an attempt.
//
// If nothing gets through for longer than a lease, the handler's context is cancelled with ErrLeaseLost, and when the store
// answers again, sweep ends the attempt as lost: it counts against MaxAttempts like the death of a worker, which it
// cannot be told from. For stores that are throttled for minutes a longer lease is the remedy: PIECEWORK_LEASE.
//
// A submission that the store does not take is an error of the caller's, store.ErrUnavailable: 503 of the HTTP API, and on
// the submit queue a message that comes again.
package throttle
