package trigger_test

import (
	"testing"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/trigger"
)

// Every message becomes jobs or is parked. A second delivery that the broker names alike changes
// nothing.
func FuzzMessages(f *testing.F) {
	for _, name := range []string{"s3.json", "s3-minio.json", "s3-several.json", "s3-test.json", "s3-eventbridge.json", "s3-sns.json", "gcs.json", "azure.json", "azure-cloudevent.json"} {
		f.Add(message(f, name), "", "", "")
	}
	f.Add([]byte(`{"kind":"shop.order","args":{"item":"x"}}`), "k", "v", "m")
	f.Add(message(f, "gcs.json"), "eventType", "OBJECT_FINALIZE", "m")
	f.Add([]byte("LINES\na b"), "ce-specversion", "1.0", "m")
	f.Add([]byte(`[{"specversion":"1.0","type":"t","source":"s","id":"1","data":{"a":{"b":1}}}]`), "bucketId", "bkt", "m")
	reg := objects(trigger.ObjectCreated("csv.load", trigger.ObjectPrefix("in/")), trigger.FromCloudEvent("t", "shop.order", trigger.KeyFrom("a.b")),
		trigger.FromMessage("lines", splitter), trigger.JSONBody("shop.order"))
	f.Fuzz(func(t *testing.T, body []byte, name, value, id string) {
		d := newDesk(t, reg)
		metadata := map[string]string{name: value, "bucketId": "bkt", "objectId": value}
		first := d.Submit(t.Context(), body, metadata, id)
		if first.Verdict != functions.Ack {
			t.Fatalf("first delivery: verdict %s, error %v; want Ack", first.Verdict, first.Err)
		}
		made := d.made()
		if second := d.Submit(t.Context(), body, metadata, id); second.Verdict != functions.Ack || (first.Err == nil) != (second.Err == nil) {
			t.Fatalf("second delivery: verdict %s, error %v; want Ack, and error %v", second.Verdict, second.Err, first.Err)
		}
		if again := d.made() - made; id != "" && again != 0 {
			t.Fatalf("the second delivery made %d jobs more than the first, want none", again)
		}
	})
}
