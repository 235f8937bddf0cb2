// Package apiclient asks a server of package httpapi.
//
//	c, err := apiclient.New("http://127.0.0.1:7433", nil)
//	...
//	receipt, err := c.Submit(ctx, wire.Submit{Kind: "banking.statement", Args: args, Key: "acct-42/2026-11"})
//	...
//	job, err := c.Wait(ctx, receipt.ID, nil)
//
// A refusal is a *wire.Problem, with the server's text; errors.Is matches it with the errors of functions and store,
// as if the runtime were in this process. ErrUnreachable means that no server answered.
//
// What can be asked twice without harm is asked again, with backoff, while the server says that its store is not
// available: everything but a submission without a key, and a retry.
//
// A request takes the trace of its context along (W3C Trace Context), so that the jobs that it submits join it.
//
// client.go has the client, jobs.go and operate.go its methods, output.go reading files, retry.go asking again.
package apiclient
