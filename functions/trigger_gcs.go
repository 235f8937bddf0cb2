package functions

import (
	"encoding/json"
	"fmt"
	"strings"
)

// gcsObject is an object as the JSON API of Cloud Storage tells of it, in the payload of a notification and in the data
// of an event.
type gcsObject struct {
	Bucket      string `json:"bucket"`
	Name        string `json:"name"`
	Generation  text   `json:"generation"`
	Size        count  `json:"size"`
	ETag        string `json:"etag"`
	ContentType string `json:"contentType"`
	TimeCreated string `json:"timeCreated"`
}

func (g gcsObject) object() Object {
	return Object{
		Store: storeGCS, Bucket: g.Bucket, Key: g.Name, Size: int64(g.Size), ETag: g.ETag, Version: string(g.Generation),
		ContentType: g.ContentType, Time: moment3339(g.TimeCreated),
	}
}

// gcsEvents begins the type of the events that Eventarc sends about objects.
const gcsEvents = "google.cloud.storage.object.v1."

// notifiedByGCS reads a notification of Cloud Storage: of Pub/Sub, where attributes tell all that matters, or of
// Eventarc.
func notifiedByGCS(m *Foreign) *notification {
	if m.Event != nil {
		return eventOfGCS(m)
	}
	eventType, _ := lookup(m.Metadata, "eventType")
	bucket, ok := lookup(m.Metadata, "bucketId")
	if !ok || !strings.HasPrefix(eventType, "OBJECT_") {
		return nil
	}
	n := &notification{of: "Cloud Storage notification"}
	if eventType != "OBJECT_FINALIZE" {
		return n
	}
	var g gcsObject
	if format, _ := lookup(m.Metadata, "payloadFormat"); format == "JSON_API_V1" {
		if err := json.Unmarshal(m.Body, &g); err != nil {
			n.err = fmt.Errorf("%s: payload: %w", n.of, err)
			return n
		}
	}
	name, _ := lookup(m.Metadata, "objectId")
	generation, _ := lookup(m.Metadata, "objectGeneration")
	g.Bucket, g.Name, g.Generation = bucket, name, text(generation)
	if g.TimeCreated == "" {
		g.TimeCreated, _ = lookup(m.Metadata, "eventTime")
	}
	n.rest = []Object{g.object()}
	return n
}

func eventOfGCS(m *Foreign) *notification {
	if !strings.HasPrefix(m.Event.Type, gcsEvents) {
		return nil
	}
	n := &notification{of: "Cloud Storage event"}
	if m.Event.Type != gcsEvents+"finalized" {
		return n
	}
	var g gcsObject
	if err := json.Unmarshal(m.Event.Data, &g); err != nil {
		n.err = fmt.Errorf("%s: data: %w", n.of, err)
		return n
	}
	n.rest = []Object{g.object()}
	return n
}

// text is a JSON string, or a number as it is written: JSON of protocol buffers has 64-bit numbers as strings, but not
// every writer keeps to it.
type text string

// UnmarshalJSON reads a string or a number.
func (t *text) UnmarshalJSON(data []byte) error {
	var n json.Number
	if err := json.Unmarshal(data, &n); err == nil {
		*t = text(n.String())
		return nil
	}
	return json.Unmarshal(data, (*string)(t))
}
