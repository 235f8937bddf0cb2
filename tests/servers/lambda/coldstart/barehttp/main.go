// Command barehttp is the least that an HTTP server in Go can be: what the start of a container is compared with.
package main

import (
	"fmt"
	"net/http"
	"os"
	"time"
)

func main() {
	s := &http.Server{Addr: "127.0.0.1:" + os.Getenv("PORT"), ReadHeaderTimeout: time.Minute}
	s.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	fmt.Fprintln(os.Stderr, s.ListenAndServe())
	os.Exit(1)
}
