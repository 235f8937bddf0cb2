package trigger

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/piecework/piecework/functions"
)

// gcsObject is an object in the form of Cloud Storage's JSON API: the payload of a notification and
// the data of an event.
type gcsObject struct {
	Bucket      string    `json:"bucket"`
	Name        string    `json:"name"`
	Generation  digits    `json:"generation"`
	Size        byteCount `json:"size"`
	ETag        string    `json:"etag"`
	ContentType string    `json:"contentType"`
	TimeCreated string    `json:"timeCreated"`
}

func (g gcsObject) object() Object {
	return Object{
		Store: storeGCS, Bucket: g.Bucket, Key: g.Name, Size: int64(g.Size), ETag: g.ETag, Version: string(g.Generation),
		ContentType: g.ContentType, Time: parseTime(g.TimeCreated),
	}
}

// gcsEvents is the prefix of the types of the events that Eventarc sends about objects.
const gcsEvents = "google.cloud.storage.object.v1."

// readGCS reads a notification of Cloud Storage through Pub/Sub, whose attributes have all that
// matters, or through Eventarc.
func readGCS(m *functions.Message) *notification {
	if m.Event != nil {
		return readGCSEvent(m)
	}
	eventType, _ := lookup(m.Metadata, "eventType")
	bucket, ok := lookup(m.Metadata, "bucketId")
	if !ok || !strings.HasPrefix(eventType, "OBJECT_") {
		return nil
	}
	n := &notification{name: "Cloud Storage notification"}
	if eventType != "OBJECT_FINALIZE" {
		return n
	}
	var g gcsObject
	if format, _ := lookup(m.Metadata, "payloadFormat"); format == "JSON_API_V1" {
		if err := json.Unmarshal(m.Body, &g); err != nil {
			n.err = fmt.Errorf("%s: payload: %w", n.name, err)
			return n
		}
	}
	name, _ := lookup(m.Metadata, "objectId")
	generation, _ := lookup(m.Metadata, "objectGeneration")
	g.Bucket, g.Name, g.Generation = bucket, name, digits(generation)
	if g.TimeCreated == "" {
		g.TimeCreated, _ = lookup(m.Metadata, "eventTime")
	}
	n.created = []Object{g.object()}
	return n
}

func readGCSEvent(m *functions.Message) *notification {
	if !strings.HasPrefix(m.Event.Type, gcsEvents) {
		return nil
	}
	n := &notification{name: "Cloud Storage event"}
	if m.Event.Type != gcsEvents+"finalized" {
		return n
	}
	var g gcsObject
	if err := json.Unmarshal(m.Event.Data, &g); err != nil {
		n.err = fmt.Errorf("%s: data: %w", n.name, err)
		return n
	}
	n.created = []Object{g.object()}
	return n
}

// digits is a whole number as text. JSON of protocol buffers has 64-bit numbers as strings, but
// some writers write numbers.
type digits string

// UnmarshalJSON reads a string or a number.
func (t *digits) UnmarshalJSON(data []byte) error {
	var n json.Number
	if err := json.Unmarshal(data, &n); err == nil {
		*t = digits(n.String())
		return nil
	}
	return json.Unmarshal(data, (*string)(t))
}
