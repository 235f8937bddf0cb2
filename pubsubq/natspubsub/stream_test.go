package natspubsub

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

func TestSubjectsThatAStreamTakes(t *testing.T) {
	for _, c := range []struct {
		pattern, subject string
		want             bool
	}{
		{"piecework.default", "piecework.default", true},
		{"piecework.default", "other.default", false},
		{"piecework.default", "piecework.default.x", false},
		{"piecework.default.x", "piecework.default", false},
		{"piecework.*", "piecework.default", true},
		{"piecework.*", "piecework.default.x", false},
		{"piecework.>", "piecework.default.x", true},
		{"piecework.>", "piecework", false},
		{"*.default", "piecework.default", true},
		{">", "piecework.default", true},
	} {
		if got := covers(c.pattern, c.subject); got != c.want {
			t.Errorf("covers(%q, %q) = %v, want %v", c.pattern, c.subject, got, c.want)
		}
	}
	if err := takes(jetstream.StreamConfig{Sources: []*jetstream.StreamSource{{Name: "x"}}}, "piecework.default"); err != nil {
		t.Errorf("takes = %v for a stream with sources, want no error", err)
	}
	err := takes(jetstream.StreamConfig{Subjects: []string{"a.default", "a.default.-later-.*"}}, "b.default")
	if err == nil || !strings.Contains(err.Error(), "a.default") || !strings.Contains(err.Error(), "another name") {
		t.Errorf("takes = %v for a stream of other subjects, want an error that names them and says what to do", err)
	}
}

func TestDefaultsOfAStream(t *testing.T) {
	var none *Options
	o := none.withDefaults("jobs.a")
	c := o.config("jobs.a")
	if c.Name != "jobs_a" || c.Storage != jetstream.FileStorage || c.Replicas != 1 || c.AllowMsgSchedules || len(c.Subjects) != 1 ||
		o.Consumer != "workers" || o.AckWait != 30*time.Second || o.Hold != 15*time.Minute || o.Prefetch != 1 {
		t.Errorf("options = %+v, config = %+v, want the documented defaults", o, c)
	}
	c = (&Options{Memory: true, Replicas: 3, Schedule: true}).withDefaults("jobs.a").config("jobs.a")
	if c.Retention != jetstream.WorkQueuePolicy || c.Storage != jetstream.MemoryStorage || c.Replicas != 3 || !c.AllowMsgSchedules ||
		len(c.Subjects) != 2 {
		t.Errorf("config = %+v, want a work queue in memory with 3 replicas, schedules and a subject for them", c)
	}
}
