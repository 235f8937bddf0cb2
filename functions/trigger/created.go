package trigger

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/piecework/piecework/functions"
)

// ObjectCreated makes a job of the kind from each object that is created or replaced in a bucket.
// The arguments of the kind are an [Object]. It understands
//
//   - notifications of S3 and of stores with the same interface (MinIO, Ceph), sent to SQS,
//     through SNS, through EventBridge, or to another broker;
//   - notifications of Google Cloud Storage through Pub/Sub, with or without a payload, and
//     through Eventarc;
//   - notifications of Azure Blob Storage through Event Grid, in its own schema and as CloudEvents.
//
// The key of the job consists of the store, the bucket, the object's key, and what distinguishes
// one write from the next: the version, the generation, or the sequencer of S3. So a notification
// that comes twice makes one job, and an object that is written twice makes two.
//
// A message may name several objects, and several triggers may share them: each object goes to the
// first trigger whose ObjectBucket, ObjectPrefix and ObjectSuffix it meets. Objects that no trigger
// takes are of no interest and are acknowledged. So are notifications about anything but a
// creation, and the test event of S3.
func ObjectCreated(kind string, opts ...Option) functions.Trigger {
	c := newTrigger("ObjectCreated", kind, opts, "ObjectBucket", "ObjectPrefix", "ObjectSuffix")
	c.Once, c.Split = true, split
	c.Args = Object{
		Store: storeS3, Account: "a", Region: "r", Bucket: "b", Key: "k", Size: 1, ETag: "e", Version: "v", ContentType: "c",
		Time: time.Unix(1, 0).UTC(),
	}
	c.Take = func(m *functions.Message) (jobs []functions.Submission, mine bool, err error) {
		if m.Parts == nil {
			return nil, false, nil
		}
		if m.Parts.Err != nil {
			return nil, false, m.Parts.Err
		}
		m.Parts.Left = slices.DeleteFunc(m.Parts.Left, func(part any) bool {
			o, ok := part.(Object)
			if !ok || !c.objects.matches(o) {
				return false
			}
			jobs = append(jobs, functions.Submission{
				Kind: kind, Args: o, Options: []functions.SubmitOption{functions.Key(o.jobKey())},
			})
			return true
		})
		return jobs, len(jobs) > 0, nil
	}
	return c.Trigger
}

// notification is what a store says about objects.
type notification struct {
	name    string   // of its form, for people
	created []Object // empty if it is about something else
	err     error    // why it cannot be read
}

// split reads a message as a notification of one of the stores. It returns nil if the message is
// none.
func split(m *functions.Message) *functions.Parts {
	for _, read := range []func(*functions.Message) *notification{readGCS, readAzure, readS3} {
		n := read(m)
		if n == nil {
			continue
		}
		parts := &functions.Parts{Err: n.err}
		for i, o := range n.created {
			o.ETag = strings.Trim(o.ETag, `"`)
			if err := o.check(); err != nil && parts.Err == nil {
				parts.Err = fmt.Errorf("%s: object %d: %w", n.name, i+1, err)
			}
			parts.Left = append(parts.Left, o)
		}
		return parts
	}
	return nil
}

// check says why no job can be made of the object.
func (o Object) check() error {
	if o.Bucket == "" || o.Key == "" {
		return errors.New("it has no bucket or no key")
	}
	if err := o.checkPlace(); err != nil {
		return err
	}
	if !utf8.ValidString(o.Key) {
		return fmt.Errorf("its key %q is not UTF-8", o.Key)
	}
	return nil
}

// parseTime reads a time of a notification. It is the zero time if it cannot be read, because it is
// for people only.
func parseTime(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil || t.Year() < 1 || t.Year() > 9999 {
		return time.Time{}
	}
	return t.UTC()
}

// byteCount is a size in bytes, which some stores write as a JSON string. It is 0 if it cannot be
// read, because it is for people only.
type byteCount int64

// UnmarshalJSON reads a number, or a string with a number.
func (c *byteCount) UnmarshalJSON(data []byte) error {
	var n json.Number
	if err := json.Unmarshal(data, &n); err != nil || n == "" {
		return nil //nolint:nilerr // the job is made without the size
	}
	if v, err := n.Int64(); err == nil && v >= 0 {
		*c = byteCount(v)
	}
	return nil
}
