// Package command is the program of a deployment: what the mains below infra call, each with the drivers of its target.
//
//	func main() { command.Main(jobs, aws.Register) }
//
// # Commands
//
//	worker            runs jobs until it is told to stop, and sweeps
//	init [--print]    creates what the store needs, as often as you like; --print only prints it
//	doctor [--json]   checks a deployment by using it, and says what to do about what it finds
//
// The exit status is 0 if all went well, 1 if something failed, for the doctor also a finding that says FAIL, and 2 if
// the command line or the environment is wrong, in which case nothing was started.
//
// # Environment
//
// PIECEWORK_STORE, PIECEWORK_QUEUES, PIECEWORK_BLOBS and the durations are those of infra/drivers. The rest:
//
//	PIECEWORK_CONCURRENCY=100    how many jobs a worker runs at once
//	PIECEWORK_SUBMIT=false       true: the worker also makes jobs of the messages of the queue "submit"
//	PIECEWORK_LOG=info           debug, info, warn or error; on Cloud Run, by the names that Cloud Logging has for them
//	PIECEWORK_PROBE_QUEUE        a lane that no worker pulls from, for the doctor to send to and receive from
//	PIECEWORK_FUNCTION_TIMEOUT   the timeout of the function that runs jobs, if one does: for the doctor to compare with the
//	                             queues' visibility timeouts, and with PIECEWORK_MARGIN
//
// # Stopping
//
// The first SIGTERM or SIGINT drains the worker: what runs finishes within 25 seconds or is handed back with its
// checkpoint. The second leaves at once, which loses nothing either: sweep starts the jobs again when their leases have
// run out.
//
// # Watching it
//
// Spans and metrics go to OpenTelemetry's global providers, which infra/jobs/jobs.go may set. At its end the program
// has them send what they hold, for 2 seconds at most.
//
// # What the doctor does
//
// It writes a record, a blob and hints of its own, whose ids begin with "doctor-", and removes them. Without
// PIECEWORK_PROBE_QUEUE it uses the lanes of the jobs: a worker that gets the doctor's hint drops it, because there is no
// such record, and the doctor gives back the first message of a job that it gets. A queue that cannot give back loses the
// hint until sweep sends it again, so a lane of its own is better.
//
// What using a service does not show, its driver may tell: whether the server deletes by itself what the store's URL
// says it does, how far its clock is from this machine's, for how long a received message is hidden, and where messages go
// that nobody gets done with. An error for lack of rights names the right.
//
// Records stand in partitions of the indexes that only the doctor looks at. What a killed doctor leaves behind disturbs
// nothing; the check of the stored state mentions it as foreign.
//
// # Where things are
//
// app.go says what a program is made of, main.go has the command line, env.go the environment, variables.go its page in
// the help, deployment.go what it names once it is open, telemetry.go what is sent at the end, worker.go and provision.go
// the commands worker and init, doctor.go the findings and their form; probe_store.go, probe_index.go, probe_lane.go and
// probe_blobs.go what is tried, probe_facts.go what drivers tell, remedy.go what is advised, troubles.go what the queues log.
package command
