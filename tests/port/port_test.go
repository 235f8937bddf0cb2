package port

import (
	"net"
	"testing"
)

func TestAPortIsTheTestsAloneUntilItEnds(t *testing.T) {
	var n int
	t.Run("holder", func(t *testing.T) {
		n = Free(t)
		if err := reserve(t, n); err == nil {
			t.Errorf("port %d was given away twice", n)
		}
		for range 2 { // a server, and the next at the same place
			l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", Address(n))
			if err != nil {
				t.Fatal(err)
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
		}
	})
	if err := reserve(t, n); err != nil {
		t.Errorf("after the test that had it: %v", err)
	}
}

func TestAPortThatIsListenedOnIsNotFree(t *testing.T) {
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := reserve(t, l.Addr().(*net.TCPAddr).Port); err == nil {
		t.Errorf("%v is taken for free", l.Addr())
	}
}
