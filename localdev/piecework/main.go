// Command piecework runs Piecework on one machine, and controls a Piecework server.
//
//	piecework up                                   everything in one process, on 127.0.0.1:7433
//	piecework submit demo.sleep '{"for":"20s"}'    from another terminal
//	piecework wait job-...                         with a live progress bar
//	piecework demo                                 a real job over real data; needs no server
//
// With --json every command prints one JSON document on standard output; text for people goes to
// standard error. The exit status says how the command ended, see exit.go. config.go lists all
// settings with their defaults. Times for people are in UTC, as those of the API.
//
// command.go has the root command, flags.go the errors of flags and version.go the version;
// console.go, style.go, table.go, text.go and progress.go print. up.go has the server and
// examples.go its kinds. submit.go, get.go, list.go, count.go, wait.go, output.go and parked.go have
// the commands of these names, steer.go cancel, retry and release, many.go the first two for all
// jobs of a filter, and operate.go kinds, sweep and stats. ids.go finds what a shortened id means.
// fsck.go checks the stored state without a server. demo.go has the demo.
package main

import (
	"context"
	"os"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], newConsole(os.Stdin, os.Stdout, os.Stderr, os.Environ())))
}
