// Package cloudrun runs jobs on a deployment as on Cloud Run: instances of the compiled server in processes of their own,
// Firestore and Cloud Storage (emulators), and messages that are pushed as Pub/Sub pushes them, by package push.
//
// # One run
//
// The program in folder server is package infra/program's, with the kinds of this package. Several
// instances of it run behind a front that gives a request to any of them, while the test submits jobs in four ways: by a
// client, by the HTTP API, by messages of the submit queue, and by CloudEvents. Messages come twice, are not answered in
// time, and are refused by instances that have no room. Instances are killed with SIGKILL and stopped with SIGTERM at
// random moments and started again, a scheduler has any of them sweep every second, and a stranger tries tokens that are
// not good. The seed of all that is printed.
//
// When all jobs have ended, the test looks from outside at each: that it ended as it should, with the result and the files
// that it should have, which one run of its handler alone has brought. Then it checks the stored state as a whole.
//
// # Where things are
//
// kinds.go has the handlers that package endtoend lacks. Of the tests, cloud_test.go has the services, front_test.go
// the instances, submit_test.go how jobs are submitted, check_test.go what must be true at the end, push_test.go the runs.
package cloudrun
