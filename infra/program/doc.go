// Package program is the program of a deployment, pieceworkd: the mains below infra call it, each
// with the drivers of its target. It runs jobs. The command line that submits and lists them is
// another program, piecework, in localdev/piecework.
//
//	func main() { program.Main(jobs, gcp.Register) }
//
// # Commands
//
//	worker            runs jobs until it is told to stop, and sweeps
//	serve             takes pushed messages, events, sweeps and the HTTP API on one port; see package functions/cloudrun
//	init [--print]    creates what the store needs; may be repeated; --print only prints it
//	doctor [--json]   checks a deployment by using it, and says what to do about its findings; see package infra/doctor
//
// serve is what the program does without a command where K_SERVICE is set, as Cloud Run and Knative
// do. worker is for Cloud Run's worker pools, Azure Container Apps, Kubernetes and your own
// machines. Package onlambda adds the mode for AWS Lambda.
//
// The exit status is 0 if all went well, 1 if something failed, for the doctor also after a finding
// that says FAIL, and 2 if the command line or the environment is wrong. With 2 nothing was
// started.
//
// # Environment
//
// [Variables] is the table of all environment variables. "help environment" prints it, readers and
// checks use it.
//
// Without PIECEWORK_PUSH_ACCOUNTS, on Cloud Run, the server relies on Cloud Run's IAM: the service
// must require authentication, and a caller that may invoke it may push. Elsewhere the server then
// starts only on a loopback address, such as PIECEWORK_ADDR=127.0.0.1:8080. Without
// PIECEWORK_TOKENS the server's HTTP API is closed to all but this machine.
//
// # Stopping
//
// The first SIGTERM or SIGINT drains the worker: jobs finish within 25 seconds or are handed back
// with their checkpoints. The second ends the process at once, which loses nothing either: sweep
// starts the jobs again when their leases have run out.
//
// # Telemetry
//
// Spans and metrics go to OpenTelemetry's global providers, which infra/jobs/jobs.go may set. At
// its end the program makes them send what they hold, for 2 seconds at most.
//
// # Files
//
// app.go says what a program is made of, run.go has the command line, variables.go the table of
// environment variables, env.go its readers, deployment.go what the environment names once it is
// open and the life of a worker, serve.go the server, provision.go and doctor.go the commands init
// and doctor, log.go the log and the telemetry.
package program
