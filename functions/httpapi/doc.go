// Package httpapi serves a runtime over HTTP: JSON under /v1, described by an OpenAPI 3.1 document that is generated
// from the same types that the routes use.
//
//	api, err := httpapi.New(rt, &httpapi.Options{Tokens: tokens})
//	...
//	ln, err := api.Listen(ctx, "127.0.0.1:7433")
//	...
//	err = api.Serve(ctx, ln) // until ctx ends; then it lets requests finish
//
// An API is an http.Handler too, for programs that have a server of their own. Those call EndWaits before they shut it
// down. Requests whose contexts they cancel with functions.ErrShutdown are answered with 503, to be sent again.
//
// # Routes
//
//	POST /v1/jobs                      submit a job; 201, or 200 if its key exists
//	POST /v1/jobs/batch                submit up to 10,000, each with a receipt of its own
//	GET  /v1/jobs                      list, newest first: kind, queue, state, tag, key, created_from, created_before,
//	                                   limit, cursor, payloads
//	GET  /v1/counts                    how many jobs wait and run, and how long they wait
//	GET  /v1/jobs/{id}                 one job
//	GET  /v1/jobs/{id}/wait            the same when it has ended, or after ?timeout=30s
//	POST /v1/jobs/{id}/cancel          also /retry and /release
//	GET  /v1/jobs/{id}/outputs         its files
//	GET  /v1/jobs/{id}/outputs/{name}  one of them, whole or a range
//	GET  /v1/kinds                     what can be submitted
//	GET  /v1/kinds/{kind}              one kind, with the JSON Schemas of its arguments and its result
//	GET  /v1/parked                    messages that could not be made jobs
//	POST /v1/parked/{id}/replay        submit one again
//	DELETE /v1/parked/{id}             delete it
//	POST /v1/sweep                     look after what is due
//	GET  /v1/stats                     what this process did
//	GET  /v1/health                    whether it works; for anybody
//	GET  /openapi.json, /openapi.yaml  the description; /docs is the same for people, and / leads there
//
// # Who may do what
//
// With tokens, a request needs one as "Authorization: Bearer TOKEN". A Reader may GET; an Operator may do everything.
// Without tokens every caller on this machine may do everything, and no other caller anything: Listen refuses an address that
// is not loopback, and a request is refused unless it comes from a loopback address, through no proxy (which the headers
// that proxies set tell), and names a loopback host. The last keeps out web pages that point a name of their own at
// 127.0.0.1. What a browser sends for another origin's page is refused: without tokens always, and with tokens if it would
// change something; pages of Options.Origins are excepted. Where the platform knows who asks, Options.Authenticate says so
// for requests without a token.
//
// # Traces
//
// A job is in the trace that the request which submitted it brings, in W3C's headers traceparent and tracestate.
//
// # Bounds
//
// A page of a list has 3 MiB of records at most and then a cursor of the next, and leaves out arguments and results over
// 512 bytes unless asked for payloads. Options.MaxLists lists are made at once, and Options.MaxWaits waits hang at once. A
// request may ask for 8 ranges of an output. Bodies are JSON without a content coding, and at most Options.MaxBody long.
//
// # Below a prefix
//
// Location and the links of /docs are relative, so that the API works behind http.StripPrefix, and behind a gateway that
// takes a stage off the path:
//
//	mux.Handle("/jobs/", http.StripPrefix("/jobs", api))
//
// # Durations
//
// Requests and answers, and messages too, have durations as text: "90s", "1h30m".
//
// # Refusals
//
// Every refusal is a problem (RFC 9457): what was wrong, where, and what to do. Unknown fields and parameters are
// refused with the nearest name that is known, and so is a parameter that is given twice. What went wrong inside is in
// the log under the request's id, not in the answer.
//
// # Where things are
//
// api.go has the options and puts all together, guard.go what every request passes, gate.go how many at once, auth.go who
// may do what, tokens.go reading their tokens, cors.go pages of other origins, serve.go listening; jobs.go, submit.go,
// wait.go, outputs.go and operate.go the routes; problem.go the refusals, document.go and docs.go the description, schema.go
// the JSON Schemas of kinds. The forms of requests and answers are in package wire, a client in apiclient.
package httpapi
