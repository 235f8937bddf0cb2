package kafka

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/IBM/sarama"

	"github.com/piecework/piecework/infra/drivers"
)

// inspect tells of a lane's topic: its partitions beside who receives, how long it keeps messages, and what commits by
// offset mean.
func (p *place) inspect(ctx context.Context, lane string) (*drivers.LaneFacts, error) {
	type answer struct {
		facts *drivers.LaneFacts
		err   error
	}
	answers := make(chan answer, 1)
	go func() { // the library knows no contexts; its own time limits end it
		f, err := p.ask(drivers.InLane(p.topic, lane), drivers.InLane(p.group, lane))
		answers <- answer{f, err}
	}()
	select {
	case a := <-answers:
		return a.facts, a.err
	case <-ctx.Done():
		return nil, fmt.Errorf("configuration of topic %s: %w", drivers.InLane(p.topic, lane), ctx.Err())
	}
}

func (p *place) ask(topic, group string) (*drivers.LaneFacts, error) {
	admin, err := sarama.NewClusterAdmin(p.brokers, p.config())
	if err != nil {
		return nil, fmt.Errorf("connect to Kafka: %w", err)
	}
	defer admin.Close()
	described, err := admin.DescribeTopics([]string{topic})
	if err == nil && len(described) == 1 && !errors.Is(described[0].Err, sarama.ErrNoError) {
		err = described[0].Err
	}
	switch {
	case errors.Is(err, sarama.ErrUnknownTopicOrPartition):
		return nil, fmt.Errorf("topic %s does not exist: %w", topic, err)
	case err == nil && len(described) != 1:
		return nil, fmt.Errorf("partitions of topic %s: the broker told of %d topics", topic, len(described))
	case err != nil:
		return nil, fmt.Errorf("partitions of topic %s: %w", topic, err)
	}
	f := &drivers.LaneFacts{
		HiddenNote: "Kafka hides no message: what was not committed comes again when its receiver has gone",
		DeadNote:   "none: Kafka counts no deliveries; a message that is given back is gone, and sweep sends its hint again",
		Waiting:    -1,
		Remarks: []drivers.Remark{{
			What: "commits", Why: "by offset, once a second, up to the first message that is not acknowledged: one long job holds back the commits " +
				"of those after it, and if its worker dies, they come again",
		}},
	}
	receivers, err := receiversOf(admin, group)
	f.Remarks = append(f.Remarks, partitions(described[0], group, receivers))
	if err != nil {
		return f, fmt.Errorf("members of group %s: %w", group, err)
	}
	config, err := admin.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource, Name: topic})
	if err != nil {
		return f, fmt.Errorf("configuration of topic %s: %w", topic, err)
	}
	settings := map[string]string{}
	for _, e := range config {
		settings[e.Name] = e.Value
	}
	f.Remarks = append(f.Remarks, retention(topic, settings))
	return f, nil
}

// receiversOf counts the members of a group; negative: not known.
func receiversOf(admin sarama.ClusterAdmin, group string) (int, error) {
	groups, err := admin.DescribeConsumerGroups([]string{group})
	switch {
	case err != nil:
		return -1, err
	case len(groups) != 1:
		return -1, fmt.Errorf("the broker told of %d groups", len(groups))
	case !errors.Is(groups[0].Err, sarama.ErrNoError):
		return -1, groups[0].Err
	}
	return len(groups[0].Members), nil
}

// partitions compares a topic's partitions with those who receive from it.
func partitions(topic *sarama.TopicMetadata, group string, receivers int) drivers.Remark {
	n, replicas, dead := len(topic.Partitions), 0, 0
	for _, p := range topic.Partitions {
		if replicas == 0 || len(p.Replicas) < replicas {
			replicas = len(p.Replicas)
		}
		if p.Leader < 0 || errors.Is(p.Err, sarama.ErrLeaderNotAvailable) {
			dead++
		}
	}
	r := drivers.Remark{What: "partitions", Why: fmt.Sprintf("%d (replicas of each: %d): no more receivers than that are at work at a time", n, replicas)}
	if receivers >= 0 {
		r.Why += fmt.Sprintf(", and %d are in group %s now", receivers, group)
	}
	switch {
	case dead > 0:
		r.Why += fmt.Sprintf("; without a leader, so that nobody can use them: %d", dead)
		r.Remedy = "see that the brokers that have them are up"
	case receivers > n:
		r.Why += fmt.Sprintf(", which leaves %d without", receivers-n)
		r.Remedy = fmt.Sprintf("give topic %s %d partitions, or run fewer workers", topic.Name, receivers)
	}
	return r
}

// retention tells how long a topic keeps messages.
func retention(topic string, settings map[string]string) drivers.Remark {
	r := drivers.Remark{What: "retention"}
	ms, err := strconv.ParseInt(settings["retention.ms"], 10, 64)
	switch {
	case err != nil:
		r.Why = "not checked: the broker does not tell retention.ms"
	case ms < 0:
		r.Why = "messages are kept for ever, also those that were acknowledged"
		r.Remedy = "set retention.ms of topic " + topic + " to a day, such as 86400000"
	default:
		const longest = time.Duration(1<<63 - 1)
		kept := longest
		if ms < int64(longest/time.Millisecond) {
			kept = time.Duration(ms) * time.Millisecond
		}
		r.Why = fmt.Sprintf("%v: what nobody has received by then is gone, and sweep sends its hint again", kept)
	}
	if policy := settings["cleanup.policy"]; strings.Contains(policy, "compact") {
		r.Why += "; cleanup.policy is " + policy + ", which refuses messages without keys, as all are here"
		r.Remedy, r.Fatal = "set cleanup.policy of topic "+topic+" to delete", true
	}
	return r
}

// refusals are the errors that mean a lack of rights, and what to grant.
var refusals = map[sarama.KError]string{
	sarama.ErrTopicAuthorizationFailed:   "allow this process's user to Read, Write and Describe the lanes' topics, and DescribeConfigs for the doctor",
	sarama.ErrGroupAuthorizationFailed:   "allow this process's user to Read the lanes' consumer groups, and Describe for the doctor",
	sarama.ErrClusterAuthorizationFailed: "allow this process's user to Describe the cluster",
	sarama.ErrSASLAuthenticationFailed:   "give this process a user and password that Kafka knows",
}

// denied says what to grant.
func denied(err error) string {
	if config, ok := errors.AsType[*sarama.DescribeConfigError](err); ok { // it does not unwrap
		return refusals[config.Err]
	}
	code, _ := errors.AsType[sarama.KError](err)
	return refusals[code]
}
