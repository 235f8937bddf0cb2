package servers

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/infra/drivers/files"
	"github.com/piecework/piecework/infra/drivers/kafka"
	"github.com/piecework/piecework/infra/drivers/nats"
	"github.com/piecework/piecework/infra/drivers/sql"
)

// onQueues is a deployment on this machine but for its queues, with a probe lane.
func onQueues(t *testing.T, url string, register func(*drivers.Set)) patient {
	t.Helper()
	return patient{
		register: []func(*drivers.Set){sql.Register, files.Register, register},
		env: map[string]string{
			"PIECEWORK_STORE": "sqlite://" + filepath.ToSlash(t.TempDir()) + "/jobs.db", "PIECEWORK_QUEUES": url,
			"PIECEWORK_BLOBS": "file://" + filepath.ToSlash(t.TempDir()) + "/blobs", "PIECEWORK_PROBE_QUEUE": "probe",
		},
	}
}

func TestDoctorOnKafka(t *testing.T) {
	t.Parallel()
	broker := Kafka(t, "piecework-default", "piecework-probe")
	p := onQueues(t, "kafka://"+broker+"/piecework-{queue}", kafka.Register)
	says(t, p.ready(t, "blobs sign"), "ok lane probe receive",
		"ok lane default redelivery: not checked: Kafka hides no message", "ok lane default dead letters: none: Kafka counts no deliveries",
		"ok lane default commits: by offset, once a second",
		"ok lane default partitions: 1 (replicas of each: 1): no more receivers than that are at work at a time, and 0 are in group piecework-default now",
		"ok lane default retention: 168h0m0s: ")
	admin, err := sarama.NewClusterAdmin([]string{broker}, sarama.NewConfig())
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	forever, compact := "-1", "compact"
	if err := admin.AlterConfig(sarama.TopicResource, "piecework-default", map[string]*string{"retention.ms": &forever, "cleanup.policy": &compact}, false); err != nil {
		t.Fatal(err)
	}
	p.env["PIECEWORK_FUNCTION_TIMEOUT"] = "1m"
	says(t, p.examined(t, 1), "FAIL lane default retention: messages are kept for ever", "cleanup.policy is compact", "set cleanup.policy of topic piecework-default to delete",
		"warn lane submit setup: could not be told: topic piecework-submit does not exist", "see that it exists, if it is used")
}

// Two receivers of one partition: one of them gets nothing.
func TestDoctorCountsTheReceiversOfKafka(t *testing.T) {
	t.Parallel()
	broker := Kafka(t, "piecework-default", "piecework-probe")
	p := onQueues(t, "kafka://"+broker+"/piecework-{queue}", kafka.Register)
	config := sarama.NewConfig()
	config.Version = sarama.V2_1_0_0
	for range 2 {
		group, err := sarama.NewConsumerGroup([]string{broker}, "piecework-default", config)
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			for t.Context().Err() == nil { // until the group is closed; each turn is one rebalance
				if group.Consume(t.Context(), []string{"piecework-default"}, idle{}) != nil {
					return
				}
			}
		}()
		t.Cleanup(func() { _ = group.Close(); <-done })
	}
	admin, err := sarama.NewClusterAdmin([]string{broker}, config)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	err = wait(t.Context(), func(context.Context) error {
		groups, err := admin.DescribeConsumerGroups([]string{"piecework-default"})
		if err == nil && (len(groups[0].Members) != 2 || groups[0].State != "Stable") {
			err = fmt.Errorf("the group has not got its members: %+v", groups[0])
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	says(t, p.ready(t, "blobs sign", "warn lane default partitions"), "2 are in group piecework-default now, which leaves 1 without",
		"give topic piecework-default 2 partitions, or run fewer workers")
}

// idle receives and keeps what it received.
type idle struct{}

func (idle) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (idle) Cleanup(sarama.ConsumerGroupSession) error { return nil }
func (idle) ConsumeClaim(s sarama.ConsumerGroupSession, _ sarama.ConsumerGroupClaim) error {
	<-s.Context().Done()
	return nil
}

// A stream that somebody else made may keep what was acknowledged.
func TestDoctorLooksAtAStreamThatIsThere(t *testing.T) {
	t.Parallel()
	n := StartNATS(t)
	p := onQueues(t, "jetstream://"+n.Host()+"/piecework.{queue}", nats.Register)
	text := p.ready(t, "blobs sign")
	says(t, text, "ok lane default setup: not checked: it is not there yet; the first worker makes it as it must be")
	if strings.Contains(text, "lane default retention") {
		t.Error("a stream without a consumer has retention")
	}
	_, js := n.connect(t)
	if err := js.DeleteStream(t.Context(), "piecework-default"); err != nil {
		t.Fatal(err)
	}
	config := jetstream.StreamConfig{Name: "piecework-default", Subjects: []string{"piecework.default"}}
	stream, err := js.CreateStream(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.CreateConsumer(t.Context(), jetstream.ConsumerConfig{Durable: "workers", AckWait: time.Minute, AckPolicy: jetstream.AckExplicitPolicy}); err != nil {
		t.Fatal(err)
	}
	says(t, p.examined(t, 0), "ok lane default ack wait: 1m0s", "ok lane default message size: at most 1048576 bytes",
		"warn lane default retention: stream piecework-default keeps messages that were acknowledged, without limit")
	config.MaxAge = time.Hour
	if _, err := js.UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	says(t, p.examined(t, 0), "ok lane default retention: a message is kept until it is acknowledged, or for 1h0m0s")
}
