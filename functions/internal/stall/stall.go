// Package stall keeps callers that send the head of a request, and then stand still, from keeping a server. net/http has a
// time limit for heads, and one for whole requests, but none for bodies alone; and before it answers a request whose body
// nobody has read it waits for that body, however long.
package stall

import (
	"net/http"
	"time"
)

// Guard gives the body of a request this long to come, from now on. Who reads on after that gets os.ErrDeadlineExceeded,
// and the connection ends with the answer. A body that has come has all the time there is: net/http takes the deadline
// away. A ResponseWriter that knows no deadlines has none.
func Guard(w http.ResponseWriter, r *http.Request, d time.Duration) {
	if r.Body == nil || r.Body == http.NoBody {
		return // net/http would take the end of the time for the caller's having gone away
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(d))
}
