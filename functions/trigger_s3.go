package functions

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
)

// s3Message is the union of what S3 sends: notifications, which have Records; its test event, which has an Event; and
// what EventBridge makes of it, which has a detail.
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
	EventName   string `json:"eventName"`   // "ObjectCreated:Put"; some put "s3:" before it
	EventTime   string `json:"eventTime"`
	Region      string `json:"awsRegion"`
	S3          *struct {
		Bucket struct {
			Name string `json:"name"`
		} `json:"bucket"`
		Object struct {
			Key       string `json:"key"` // URL-encoded as in a query
			Size      count  `json:"size"`
			ETag      string `json:"eTag"`
			VersionID string `json:"versionId"`
			Sequencer string `json:"sequencer"`
		} `json:"object"`
	} `json:"s3"`
}

type s3Detail struct {
	Bucket struct {
		Name string `json:"name"`
	} `json:"bucket"`
	Object struct {
		Key       string `json:"key"` // as it is
		Size      count  `json:"size"`
		ETag      string `json:"etag"`
		VersionID string `json:"version-id"`
		Sequencer string `json:"sequencer"`
	} `json:"object"`
}

// notifiedByS3 reads a notification of S3.
func notifiedByS3(m *Foreign) *notification {
	if m.Event != nil {
		return nil
	}
	var s s3Message
	err := json.Unmarshal(m.Body, &s) // a member of the wrong type does not keep it from reading the others
	var n *notification
	switch {
	case s.Event == "s3:TestEvent":
		return &notification{of: "S3 test event"}
	case s.Source == "aws.s3" && s.DetailType != "":
		n = s.bridged()
	case len(s.Records) > 0 && strings.HasSuffix(s.Records[0].EventSource, ":s3"):
		n = s.recorded()
	default:
		return nil
	}
	if err != nil {
		n.err = fmt.Errorf("%s: %w", n.of, err)
	}
	return n
}

// recorded reads a notification of S3's own.
func (s s3Message) recorded() *notification {
	n := &notification{of: "S3 notification"}
	for i, r := range s.Records {
		if !strings.HasPrefix(strings.TrimPrefix(r.EventName, "s3:"), "ObjectCreated:") {
			continue
		}
		if r.S3 == nil {
			n.err = fmt.Errorf("%s: record %d has no member \"s3\"", n.of, i+1)
			return n
		}
		key, err := url.QueryUnescape(r.S3.Object.Key)
		if err != nil {
			n.err = fmt.Errorf("%s: record %d: the key is not URL-encoded: %w", n.of, i+1, err)
			return n
		}
		o := r.S3.Object
		n.rest = append(n.rest, Object{
			Store: storeS3, Region: r.Region, Bucket: r.S3.Bucket.Name, Key: key, Size: int64(o.Size), ETag: o.ETag,
			Version: s3Version(o.VersionID), Time: moment3339(r.EventTime), sequencer: o.Sequencer,
		})
	}
	return n
}

// bridged reads an event that came through EventBridge.
func (s s3Message) bridged() *notification {
	n := &notification{of: "S3 event of EventBridge"}
	if s.DetailType != "Object Created" {
		return n
	}
	if s.Detail == nil {
		n.err = fmt.Errorf("%s: it has no member \"detail\"", n.of)
		return n
	}
	o := s.Detail.Object
	n.rest = []Object{{
		Store: storeS3, Region: s.Region, Bucket: s.Detail.Bucket.Name, Key: o.Key, Size: int64(o.Size), ETag: o.ETag,
		Version: s3Version(o.VersionID), Time: moment3339(s.Time), sequencer: o.Sequencer,
	}}
	return n
}

// s3Version is an object's version. Objects of buckets whose versioning was suspended all have the version "null".
func s3Version(id string) string {
	if id == "null" {
		return ""
	}
	return id
}
