package rabbit

import (
	"errors"
	"fmt"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"
)

func TestWhatMustBeGranted(t *testing.T) {
	for reason, want := range map[string]string{
		"ACCESS_REFUSED - write access to exchange 'amq.default' in vhost '/' refused for user 'jobs'": "grant user jobs write access to exchange 'amq.default': rabbitmqctl set_permissions -p / jobs CONFIGURE WRITE READ",
		"ACCESS_REFUSED - access to queue 'piecework.a' in vhost 'v' refused for user 'jobs'":          "grant user jobs access to queue 'piecework.a': rabbitmqctl set_permissions -p v jobs CONFIGURE WRITE READ",
		"username or password not allowed": "give this process a user and password that the broker knows, with access to its vhost",
	} {
		err := fmt.Errorf("declare: %w", &amqp.Error{Code: amqp.AccessRefused, Reason: reason})
		if got := denied(err); got != want {
			t.Errorf("denied: got %s: %q, want got == want", reason, got)
		}
	}
	if got := denied(errors.Join(errors.New("x"), &amqp.Error{Code: amqp.NotFound})); got != "" {
		t.Error(got)
	}
}
