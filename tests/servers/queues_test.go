package servers

import (
	"fmt"
	"testing"
)

// queueNames returns a function that makes up a name and creates a queue of that name.
func queueNames(create func(t *testing.T, queue string)) func(t *testing.T) string {
	n := 0
	return func(t *testing.T) string {
		t.Helper()
		n++
		queue := fmt.Sprint("queue-", n)
		if create != nil {
			create(t, queue)
		}
		return queue
	}
}
