package kafka

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/IBM/sarama"
)

func TestWhatMustBeGranted(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{fmt.Errorf("x: %w", sarama.ErrTopicAuthorizationFailed), "Read, Write and Describe the queues' topics"},
		{fmt.Errorf("x: %w", sarama.ErrGroupAuthorizationFailed), "consumer groups"},
		{sarama.ErrSASLAuthenticationFailed, "a user and password"},
		{sarama.ErrLeaderNotAvailable, ""},
		{errors.New("topic authorization failed, says a proxy"), ""},
		{nil, ""},
	} {
		if got := denied(c.err); !strings.Contains(got, c.want) || (c.want == "") != (got == "") {
			t.Errorf("%v: %q, want %q", c.err, got, c.want)
		}
	}
}
