package cloudrun_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/trigger"
	"github.com/piecework/piecework/store"
)

// stored is what Cloud Storage tells of an object.
const stored = `{"kind":"storage#object","bucket":"photos","name":"in/a b.jpg","generation":"17","size":"1234","contentType":"image/jpeg"}`

// Cloud Storage tells of an object by Eventarc, or by a topic whose messages are pushed, in an
// envelope or without one: each time the same object becomes a job.
func TestAnObjectBecomesAJobHoweverItIsTold(t *testing.T) {
	notification := map[string]string{
		"eventType": "OBJECT_FINALIZE", "bucketId": "photos", "objectId": "in/a b.jpg", "objectGeneration": "17", "payloadFormat": "JSON_API_V1",
	}
	headers := []string{"X-Goog-Pubsub-Message-Id", "m-1", "X-Goog-Pubsub-Subscription-Name", "projects/p/subscriptions/piecework-submit"}
	for name, value := range notification {
		headers = append(headers, name, value) // whose capitals are lost on the way
	}
	for name, tell := range map[string]func(w *world){
		"event": func(w *world) {
			w.expect(http.StatusNoContent, "/events", stored, "Ce-Specversion", "1.0", "Ce-Type", "google.cloud.storage.object.v1.finalized",
				"Ce-Source", "//storage.googleapis.com/projects/_/buckets/photos", "Ce-Subject", "objects/in/a%20b.jpg", "Ce-Id", "1",
				"Content-Type", "application/json")
		},
		"pushed":    func(w *world) { w.expect(http.StatusNoContent, "/push/submit", wrap("m-1", stored, notification)) },
		"unwrapped": func(w *world) { w.expect(http.StatusNoContent, "/push/submit", stored, headers...) },
	} {
		t.Run(name, func(t *testing.T) {
			jobs := functions.NewRegistry()
			functions.Handle(jobs, "photo.shrink", func(_ context.Context, job *functions.Job[trigger.Object]) (string, error) {
				return job.Args.Bucket + "/" + job.Args.Key, nil
			})
			jobs.Trigger(trigger.ObjectCreated("photo.shrink"))
			w := newWorld(t, jobs, nil)
			tell(w)
			tell(w)
			info := w.only("photo.shrink")
			w.expect(http.StatusNoContent, "/push/execute", hint(info.ID))
			if info = w.state(info.ID, store.Succeeded); string(info.Result) != `"photos/in/a b.jpg"` {
				t.Errorf("result %s", info.Result)
			}
		})
	}
}

// A topic's message that Eventarc delivers is what the message holds.
func TestAnEventOfATopicIsItsMessage(t *testing.T) {
	jobs, _ := doubles()
	w := newWorld(t, jobs, nil)
	for range 2 {
		w.expect(http.StatusNoContent, "/events", wrap("m-1", `{"kind":"test.double","args":4}`, nil), "Ce-Specversion", "1.0",
			"Ce-Type", "google.cloud.pubsub.topic.v1.messagePublished", "Ce-Source", "//pubsub.googleapis.com/projects/p/topics/t", "Ce-Id", "m-1",
			"Content-Type", "application/json")
	}
	info := w.only("test.double")
	w.expect(http.StatusNoContent, "/push/execute", hint(info.ID))
	if info = w.state(info.ID, store.Succeeded); string(info.Result) != "8" {
		t.Errorf("result %s", info.Result)
	}
}
