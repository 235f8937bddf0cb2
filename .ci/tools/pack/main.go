// Command pack puts a program into the zip that Lambda takes, or into an image that "docker load", "podman load" and
// "crane push" take. infra/build.sh calls it. The same program gives the same bytes, on any machine: nothing of the
// machine goes in, neither times nor owners nor its certificates.
//
//	pack zip OUT.zip PROGRAM
//	pack image OUT.tar PROGRAM ARCHITECTURE NAME:TAG
//
// It is a module of its own because it brings a library for images and Mozilla's list of certificate authorities.
package main

import (
	"fmt"
	"os"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "pack: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 3 && args[0] == "zip":
		return writeZip(args[1], args[2])
	case len(args) == 5 && args[0] == "image":
		return writeImage(args[1], args[2], args[3], args[4])
	default:
		return fmt.Errorf("want zip OUT PROGRAM, or image OUT PROGRAM ARCHITECTURE NAME:TAG, not %q", args)
	}
}
