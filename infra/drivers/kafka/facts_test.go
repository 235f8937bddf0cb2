package kafka

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/IBM/sarama"

	"github.com/piecework/piecework/infra/drivers"
)

// topicOf has a partition for each leader, negative if it has none.
func topicOf(leaders ...int32) *sarama.TopicMetadata {
	t := &sarama.TopicMetadata{Name: "jobs"}
	for i, l := range leaders {
		t.Partitions = append(t.Partitions, &sarama.PartitionMetadata{ID: int32(i), Leader: l, Replicas: []int32{1, 2, 3}})
	}
	return t
}

func TestRemarks(t *testing.T) {
	for _, c := range []struct {
		got          drivers.Remark
		want, remedy string
		fatal        bool
	}{
		{partitions(topicOf(1, 2), "g", 2), "2 (replicas of each: 3): no more receivers than that are at work at a time, and 2 are in group g now", "", false},
		{partitions(topicOf(1), "g", 3), "which leaves 2 without", "give topic jobs 3 partitions", false},
		{partitions(topicOf(1), "g", -1), "at a time", "", false},
		{partitions(topicOf(1, -1), "g", 0), "without a leader, so that nobody can use them: 1", "are up", false},
		{retention("jobs", map[string]string{"retention.ms": "604800000", "cleanup.policy": "delete"}), "168h0m0s: what nobody has received", "", false},
		{retention("jobs", map[string]string{"retention.ms": "-1"}), "for ever", "retention.ms of topic jobs", false},
		{retention("jobs", map[string]string{"retention.ms": "9223372036854775807"}), "2562047h47m16.854775807s", "", false},
		{retention("jobs", nil), "not checked: the broker does not tell", "", false},
		{retention("jobs", map[string]string{"retention.ms": "1000", "cleanup.policy": "compact,delete"}), "refuses messages without keys", "to delete", true},
	} {
		if !strings.Contains(c.got.Why, c.want) || !strings.Contains(c.got.Remedy, c.remedy) || (c.remedy == "") != (c.got.Remedy == "") || c.got.Fatal != c.fatal {
			t.Errorf("%+v, want %q and %q", c.got, c.want, c.remedy)
		}
	}
}

func TestWhatMustBeGranted(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{fmt.Errorf("x: %w", sarama.ErrTopicAuthorizationFailed), "Read, Write and Describe the lanes' topics"},
		{fmt.Errorf("x: %w", &sarama.DescribeConfigError{Err: sarama.ErrTopicAuthorizationFailed}), "DescribeConfigs for the doctor"},
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
