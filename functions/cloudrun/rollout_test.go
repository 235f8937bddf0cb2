package cloudrun_test

import (
	"fmt"
	"net/http"
	"testing"
)

// A message that only a newer version understands comes again a few times, in case one is being
// rolled out.
func TestWhatOnlyANewerVersionUnderstandsIsGivenBack(t *testing.T) {
	jobs, _ := doubles()
	w := newWorld(t, jobs, nil)
	push := func(status, attempt int) {
		t.Helper()
		// {"kind":"test.new"}
		w.expect(status, "/push/submit", fmt.Sprintf(
			`{"message":{"data":"eyJraW5kIjoidGVzdC5uZXcifQ==","messageId":"1"},"subscription":"s","deliveryAttempt":%d}`, attempt))
	}
	for attempt := 1; attempt <= 4; attempt++ {
		push(http.StatusServiceUnavailable, attempt)
	}
	push(http.StatusNoContent, 5)
	push(http.StatusNoContent, 0) // Pub/Sub does not count
	if parked, _, err := w.rt.Client().Parked(t.Context(), 10, ""); err != nil || len(parked) != 1 {
		t.Errorf("parked messages = %+v, error = %v; want no error and 1 parked", parked, err)
	}
}
