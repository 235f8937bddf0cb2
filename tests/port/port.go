// Package port gives tests ports for servers that they start in other processes, or stop and start again.
//
// Such a port is free for a while before it is listened on, and a listener on port 0 that was closed keeps it from no process:
// the system gives it to the next process that asks, for a listener or for the near end of a connection, and the server cannot
// start. A port of this package is the test's alone until the test ends.
package port

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
)

// The ports are below those that systems give away by themselves: Linux from 32768 on, others from 49152 on, unless they
// were told otherwise.
const low, high = 10_000, 32_000

// Free returns a port of the loopback interface that has no listener and that no other test gets until this one has ended.
func Free(tb testing.TB) int {
	tb.Helper()
	var errs []error
	for range 100 {
		n := low + rand.IntN(high-low)
		err := reserve(tb, n)
		if err == nil {
			return n
		}
		errs = append(errs, err)
	}
	tb.Fatalf("no port from %d to %d is free: %v", low, high, errors.Join(errs...))
	return 0
}

// Address is the address at which a server listens on such a port.
func Address(n int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(n)) }

// reserve keeps a port from other tests, of this process and of others, until this one ends, in whatever way: by holding
// the port of UDP that has the same number. Servers listen on the port of TCP.
func reserve(tb testing.TB, n int) error {
	tb.Helper()
	held, err := new(net.ListenConfig).ListenPacket(tb.Context(), "udp", Address(n))
	if err != nil {
		return fmt.Errorf("reserve port %d: %w", n, err)
	}
	l, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", Address(n))
	if err == nil {
		err = l.Close()
	}
	if err != nil {
		_ = held.Close() // it was only to be held
		return fmt.Errorf("port %d: %w", n, err)
	}
	tb.Cleanup(func() { _ = held.Close() })
	return nil
}
