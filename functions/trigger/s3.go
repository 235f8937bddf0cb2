package trigger

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"github.com/piecework/piecework/functions"
)

// s3Message has the members of all messages of S3: notifications have Records, the test event has
// an Event, and an event that came through EventBridge has a Detail.
type s3Message struct {
	Event   string     `json:"Event"`
	Records []s3Record `json:"Records"`

	DetailType string    `json:"detail-type"`
	Source     string    `json:"source"`
	Region     string    `json:"region"`
	Time       string    `json:"time"`
	Detail     *s3Detail `json:"detail"`
}

type s3Record struct {
	EventSource string `json:"eventSource"` // "aws:s3"; "minio:s3", "ceph:s3"
	EventName   string `json:"eventName"`   // "ObjectCreated:Put"; some stores write "s3:" before it
	EventTime   string `json:"eventTime"`
	Region      string `json:"awsRegion"`
	S3          *struct {
		Bucket struct {
			Name string `json:"name"`
		} `json:"bucket"`
		Object struct {
			Key       string    `json:"key"` // URL-encoded as in a query
			Size      byteCount `json:"size"`
			ETag      string    `json:"eTag"`
			VersionID string    `json:"versionId"`
			Sequencer string    `json:"sequencer"`
		} `json:"object"`
	} `json:"s3"`
}

type s3Detail struct {
	Bucket struct {
		Name string `json:"name"`
	} `json:"bucket"`
	Object struct {
		Key       string    `json:"key"` // not encoded
		Size      byteCount `json:"size"`
		ETag      string    `json:"etag"`
		VersionID string    `json:"version-id"`
		Sequencer string    `json:"sequencer"`
	} `json:"object"`
}

// readS3 reads a notification of S3.
func readS3(m *functions.Message) *notification {
	if m.Event != nil {
		return nil
	}
	var s s3Message
	err := json.Unmarshal(m.Body, &s) // reads the other members even if one has the wrong type
	var n *notification
	switch {
	case s.Event == "s3:TestEvent":
		return &notification{name: "S3 test event"}
	case s.Source == "aws.s3" && s.DetailType != "":
		n = s.readDetail()
	case len(s.Records) > 0 && strings.HasSuffix(s.Records[0].EventSource, ":s3"):
		n = s.readRecords()
	default:
		return nil
	}
	if err != nil {
		n.err = fmt.Errorf("%s: %w", n.name, err)
	}
	return n
}

// readRecords reads a notification that S3 itself sent.
func (s s3Message) readRecords() *notification {
	n := &notification{name: "S3 notification"}
	for i, r := range s.Records {
		if !strings.HasPrefix(strings.TrimPrefix(r.EventName, "s3:"), "ObjectCreated:") {
			continue
		}
		if r.S3 == nil {
			n.err = fmt.Errorf("%s: record %d has no member \"s3\"", n.name, i+1)
			return n
		}
		key, err := url.QueryUnescape(r.S3.Object.Key)
		if err != nil {
			n.err = fmt.Errorf("%s: record %d: the key is not URL-encoded: %w", n.name, i+1, err)
			return n
		}
		o := r.S3.Object
		n.created = append(n.created, Object{
			Store: storeS3, Region: r.Region, Bucket: r.S3.Bucket.Name, Key: key, Size: int64(o.Size), ETag: o.ETag,
			Version: s3Version(o.VersionID), Time: parseTime(r.EventTime), sequencer: o.Sequencer,
		})
	}
	return n
}

// readDetail reads an event that came through EventBridge.
func (s s3Message) readDetail() *notification {
	n := &notification{name: "S3 event of EventBridge"}
	if s.DetailType != "Object Created" {
		return n
	}
	if s.Detail == nil {
		n.err = fmt.Errorf("%s: it has no member \"detail\"", n.name)
		return n
	}
	o := s.Detail.Object
	n.created = []Object{{
		Store: storeS3, Region: s.Region, Bucket: s.Detail.Bucket.Name, Key: o.Key, Size: int64(o.Size), ETag: o.ETag,
		Version: s3Version(o.VersionID), Time: parseTime(s.Time), sequencer: o.Sequencer,
	}}
	return n
}

// s3Version returns an object's version, or "" if it distinguishes nothing: while versioning is
// suspended, all objects have the version "null".
func s3Version(id string) string {
	if id == "null" {
		return ""
	}
	return id
}
