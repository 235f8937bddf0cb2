// Package cloudrun is the program of a deployment that is reached by HTTP: what a main below infra calls whose target is
// Cloud Run, or another platform that runs containers.
//
//	func main() { cloudrun.Main(jobs, gcp.Register) }
//
// It has the commands of package command, and one more, which is also what it does without a command where K_SERVICE is
// set, as it is by Cloud Run and Knative:
//
//	serve        takes pushed messages, events, sweeps and the HTTP API on one port; see package functions/cloudrun
//	worker       pulls, for worker pools, Azure Container Apps, Kubernetes and machines of one's own
//
// # Environment
//
// Beside that of package command:
//
//	PORT=8080                             on which port to listen, on all addresses
//	PIECEWORK_ADDR                        where to listen, as host:port, in its place
//	PIECEWORK_PUSH_ACCOUNTS               the service accounts whose tokens are taken, separated by commas
//	PIECEWORK_PUSH_AUDIENCE               for whom the tokens must be; several are separated by commas
//	PIECEWORK_TOKENS, PIECEWORK_TOKEN_FILE  who may use the HTTP API: ROLE:TOKEN or ROLE:NAME:TOKEN
//	PIECEWORK_FUNCTION_TIMEOUT=5m         how long a request may take, from 15s (three times PIECEWORK_MARGIN) to 1h: some
//	                                      seconds less than the platform's timeout, and than the ack deadline of the push
//	                                      subscriptions
//	PIECEWORK_CONCURRENCY=100             how many jobs run at once, as for a worker
//
// Without PIECEWORK_PUSH_ACCOUNTS, on Cloud Run, the server relies on Cloud Run's IAM: the service must require
// authentication, and who may invoke it may push. Elsewhere the server then starts only on a loopback address, such as
// PIECEWORK_ADDR=127.0.0.1:8080.
//
// Without PIECEWORK_TOKENS the HTTP API is closed to all but this machine.
package cloudrun
