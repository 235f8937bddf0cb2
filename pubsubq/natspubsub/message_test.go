package natspubsub

import (
	"errors"
	"maps"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"gocloud.dev/gcerrors"
	"gocloud.dev/pubsub/driver"
)

// received is a message of JetStream without a server.
type received struct {
	jetstream.Msg

	header nats.Header
}

func (r received) Headers() nats.Header { return r.header }
func (received) Data() []byte           { return []byte("x") }
func (received) Metadata() (*jetstream.MsgMetadata, error) {
	return &jetstream.MsgMetadata{Stream: "jobs", Sequence: jetstream.SequencePair{Stream: 7}}, nil
}

func TestMetadataTravelsAsHeaders(t *testing.T) {
	metadata := map[string]string{"traceparent": "t", "a b:\r\n": " 100% ü\n", "tracestate": "a=1,b=2"}
	m := &driver.Message{Body: []byte("x"), Metadata: metadata}
	m.BeforeSend = func(as func(any) bool) error { return DelayHook(as, time.Minute) }
	out, err := encode("jobs.a", m)
	if err != nil || out.delay != time.Minute || out.Subject != "jobs.a" {
		t.Fatalf("encode = %+v, %v, want subject jobs.a and a delay of a minute", out, err)
	}
	if got := out.Header.Get("tracestate"); got != "a=1,b=2" {
		t.Errorf("header tracestate = %q, want it as it was", got)
	}
	out.Header.Set(jetstream.MsgIDHeader, "id")
	got := decode(received{header: out.Header})
	if string(got.Body) != "x" || !maps.Equal(got.Metadata, metadata) || got.LoggableID != "jobs/7" {
		t.Errorf("decode = %+v, want body x, metadata %q and id jobs/7", got, metadata)
	}
	if got := decode(received{header: nats.Header{"Foreign": {"100%"}}}); got.Metadata["Foreign"] != "100%" {
		t.Errorf("metadata = %q, want the value 100%% of another sender as it is", got.Metadata)
	}
}

func TestErrorsAreClassified(t *testing.T) {
	for err, want := range map[error]gcerrors.ErrorCode{
		jetstream.ErrStreamNotFound: gcerrors.NotFound, errors.New("x"): gcerrors.Unknown, &jetstream.APIError{Code: 503}: gcerrors.ResourceExhausted,
	} {
		if got := errorCode(err); got != want {
			t.Errorf("code of %v = %v, want %v", err, got, want)
		}
	}
}
