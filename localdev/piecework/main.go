// Command piecework runs Piecework on one machine, and asks and steers a Piecework server.
//
//	piecework up                                   everything in one process, on 127.0.0.1:7433
//	piecework submit demo.sleep '{"for":"20s"}'    from another terminal
//	piecework wait job-...                         with a live progress bar
//	piecework demo                                 a real job over real data; needs no server
//
// Every command takes --json and then prints one JSON document on standard output; what is for people goes to
// standard error. The exit status says what became of it, see exit.go. All configuration, with names and defaults,
// stands in config.go.
//
// Where things are: command.go has the root command, console.go what commands print on and text.go what of a text, up.go the server and
// examples.go its kinds; submit.go, get.go, list.go, wait.go, steer.go, output.go, parked.go and operate.go have the commands of
// these names; fsck.go reads the stored state from outside; demo.go has the demo.
package main

import (
	"context"
	"os"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], newConsole(os.Stdin, os.Stdout, os.Stderr, os.Environ())))
}
