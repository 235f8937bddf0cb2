package rabbit

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	amqp "github.com/rabbitmq/amqp091-go"
)

var access = regexp.MustCompile(`(read|write|configure)?\s*access to (\S+ '[^']*') in vhost '([^']*)' refused for user '([^']*)'`)

// denied says what to grant.
func denied(err error) string {
	var broker *amqp.Error
	if !errors.As(err, &broker) || broker.Code != amqp.AccessRefused {
		return ""
	}
	m := access.FindStringSubmatch(broker.Reason)
	if m == nil {
		return "give this process a user and password that the broker knows, with access to its vhost"
	}
	return strings.Join(strings.Fields(fmt.Sprintf("grant user %s %s access to %s: rabbitmqctl set_permissions -p %s %s CONFIGURE WRITE READ",
		m[4], m[1], m[2], m[3], m[4])), " ")
}
