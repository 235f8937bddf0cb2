// Package runtimeapi is AWS Lambda's side of a function, for tests: it starts the compiled program as a real process for
// each execution environment, serves it the Runtime API and the Extensions API, and treats it as the service does.
//
//	f, err := runtimeapi.New(runtimeapi.Config{Name: "execute", Program: "/path/to/bootstrap", Timeout: 30 * time.Second})
//	result, err := f.Invoke(ctx, payload)
//	...
//	f.Close()
//
// # What it does as Lambda does
//
// An environment handles one invocation at a time. One that is warm is used again; if none is free, another is started,
// up to Config.Limit, beyond which invocations are refused with ErrThrottled. Between invocations the processes of an
// environment are stopped (SIGSTOP), whatever their goroutines are in the middle of. Starting is limited to 10 seconds,
// and is tried once more within the time of the first invocation. When the function's timeout passes in the middle of an
// invocation, the environment is killed (SIGKILL). The shutdown of an idle environment sends SIGTERM only to programs
// that have registered an extension, and leaves them half a second; others are killed at once. Answers of more than 6 MB
// are refused, unless they are streamed to a function URL.
//
// The programs get the variables that Lambda sets and the variables of Config.Env, and none of this process.
//
// # What it does as Lambda may
//
// Config.Chaos kills environments in the middle of invocations, reproducibly. Function.Terminate sends SIGTERM to those
// that are busy, Function.Recycle shuts the idle ones down.
//
// # What it does not do
//
// No limits on memory and processors, no telemetry API, no external extensions, no SnapStart, no asynchronous invocations.
//
// # Where things are
//
// function.go has the function and its environments, invoke.go an invocation, environment.go the life of an environment,
// api.go the Runtime API, extensions.go the Extensions API, process.go the process, functionurl.go and stream.go the
// function URLs.
package runtimeapi
