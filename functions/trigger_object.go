package functions

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/piecework/piecework/functions/internal/guard"
)

// Object is an object that was created or replaced in a bucket: the arguments of the jobs of ObjectCreated.
type Object struct {
	Store       string    `json:"store" doc:"s3, gcs or azure"`
	Account     string    `json:"account,omitempty" doc:"the storage account, of Azure only"`
	Region      string    `json:"region,omitempty" doc:"the bucket's, of S3 only"`
	Bucket      string    `json:"bucket" doc:"the bucket, or Azure's container"`
	Key         string    `json:"key" doc:"the object's name, not encoded in any way"`
	Size        int64     `json:"size" doc:"bytes; 0 also if the notification does not tell"`
	ETag        string    `json:"etag,omitempty" doc:"without quotes"`
	Version     string    `json:"version,omitempty" doc:"S3's version id, Google's generation"`
	ContentType string    `json:"content_type,omitempty" doc:"not told by S3"`
	Time        time.Time `json:"time,omitzero" doc:"when it was created"`

	sequencer string // tells one write of a key from the next where there is no version
}

// BucketURL is the bucket in the form that gocloud.dev/blob opens, if the driver is linked: "s3://uploads?region=eu-west-1",
// "gs://uploads" or "azblob://uploads?storage_account=acme". It is empty if the store, the account, the region or the
// bucket has a name that the service does not allow, because such a name could lead to another host.
func (o Object) BucketURL() string {
	if o.checkPlace() != nil {
		return ""
	}
	u := url.URL{Host: o.Bucket}
	query := url.Values{}
	switch o.Store {
	case storeS3:
		u.Scheme = "s3"
		if o.Region != "" {
			query.Set("region", o.Region)
		}
	case storeGCS:
		u.Scheme = "gs"
	case storeAzure:
		u.Scheme = "azblob"
		if o.Account != "" {
			query.Set("storage_account", o.Account)
		}
	}
	u.RawQuery = query.Encode()
	return u.String()
}

// The stores of objects.
const (
	storeS3    = "s3"
	storeGCS   = "gcs"
	storeAzure = "azure"
)

// The names that the services allow. S3 takes dots and, of old buckets in us-east-1, underscores and capitals; Azure has
// containers of its own that begin with a dollar sign.
var (
	accountForm = regexp.MustCompile(`^[a-z0-9]{3,24}$`)
	regionForm  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$`)
	bucketForms = map[string]*regexp.Regexp{
		storeS3:    regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]$`),
		storeGCS:   regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$`),
		storeAzure: regexp.MustCompile(`^(\$root|\$web|\$logs|\$blobchangefeed|[a-z0-9][a-z0-9-]{1,61}[a-z0-9])$`),
	}
)

// checkPlace says which name of the object's place its service does not allow.
func (o Object) checkPlace() error {
	form := bucketForms[o.Store]
	switch {
	case form == nil:
		return fmt.Errorf("store %.80q: want s3, gcs or azure", o.Store)
	case !form.MatchString(o.Bucket):
		return fmt.Errorf("%.300q is not the name of a bucket of %s", o.Bucket, o.Store)
	case o.Account != "" && !accountForm.MatchString(o.Account):
		return fmt.Errorf("%.80q is not the name of a storage account: 3 to 24 lower-case letters and digits", o.Account)
	case o.Region != "" && !regionForm.MatchString(o.Region):
		return fmt.Errorf("%.80q is not the name of a region", o.Region)
	}
	return nil
}

// idempotency is the key of the job over this object: the same for every notification of one write, another for the
// next write of the same name.
func (o Object) idempotency() string {
	mark := o.Version
	switch {
	case mark != "":
	case o.Store == storeAzure && o.ETag != "": // which every write changes; its sequencer is for comparing only
		mark = o.ETag
	case o.sequencer != "":
		mark = o.sequencer
	case !o.Time.IsZero():
		mark = o.ETag + "@" + o.Time.UTC().Format(time.RFC3339Nano)
	default:
		mark = o.ETag
	}
	place := o.Bucket
	if o.Account != "" {
		place = o.Account + "/" + place
	}
	return shortKey("object", o.Store+"://"+place+"/"+o.Key+"#"+mark)
}

// shortKey is a key, or if it is too long for one, its digest.
func shortKey(prefix, key string) string {
	if len(key) <= 512 && utf8.ValidString(key) {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	return prefix + "/" + hex.EncodeToString(sum[:16])
}

// objectFilter says which objects a trigger takes; an empty list takes all.
type objectFilter struct{ buckets, prefixes, suffixes []string }

func (f objectFilter) takes(o Object) bool {
	one := func(list []string, is func(string, string) bool, s string) bool {
		return len(list) == 0 || slices.ContainsFunc(list, func(v string) bool { return is(s, v) })
	}
	return one(f.buckets, func(a, b string) bool { return a == b }, o.Bucket) &&
		one(f.prefixes, strings.HasPrefix, o.Key) && one(f.suffixes, strings.HasSuffix, o.Key)
}

// ObjectCreated makes a job of every object that is created or replaced in a bucket. The kind's arguments are an
// Object. It understands
//
//   - the notifications of S3 and of the stores that speak its language (MinIO, Ceph), sent to SQS, through SNS, through
//     EventBridge, or to another broker;
//   - those of Google Cloud Storage through Pub/Sub, with or without a payload, and through Eventarc;
//   - those of Azure Blob Storage through Event Grid, in its own schema and as CloudEvents.
//
// The key of the job follows from the store, the bucket, the object's key, and what tells one write of it from the next:
// its version or generation, or S3's sequencer. So a notification that comes twice makes one job, and an object that is
// written twice makes two.
//
// One message may tell of several objects, and several triggers may share them: each object goes to the first whose
// ObjectBucket, ObjectPrefix and ObjectSuffix it meets. Objects that none takes are of no interest, and so are
// notifications about anything but a creation, S3's test event among them: they are acknowledged.
func ObjectCreated(kind string, opts ...TriggerOption) Trigger {
	t := newTrigger(formObject, kind, opts, "ObjectBucket", "ObjectPrefix", "ObjectSuffix")
	t.take = func(t *Trigger, m *Foreign) ([]request, error) {
		if !m.objects.known() {
			return nil, ErrNotMine
		}
		if m.objects.err != nil {
			return nil, m.objects.err
		}
		var requests []request
		m.objects.rest = slices.DeleteFunc(m.objects.rest, func(o Object) bool {
			if !t.objects.takes(o) {
				return false
			}
			requests = append(requests, request{once: true, Submission: Submission{
				Kind: t.kind, Args: o, Options: append(append([]SubmitOption{traced(m.Metadata)}, t.opts...), Key(o.idempotency())),
			}})
			return true
		})
		if len(requests) == 0 {
			return nil, ErrNotMine
		}
		return requests, nil
	}
	return t
}

// takesObjects says why a kind's arguments cannot be an Object, or nil.
func (k *kind) takesObjects() error {
	data, err := json.Marshal(Object{
		Store: storeS3, Account: "a", Region: "r", Bucket: "b", Key: "k", Size: 1, ETag: "e", Version: "v", ContentType: "c",
		Time: time.Unix(1, 0).UTC(),
	})
	if err == nil {
		err = guard.Inline(func() error {
			_, err := k.decode(data, true)
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("kind %q: its arguments must be functions.Object: %w", k.name, err)
	}
	return nil
}

// notification is what a message says about objects. Nil, and all but known notifications, say nothing.
type notification struct {
	of   string   // whose it is, for people; "": it is no notification about objects
	rest []Object // created, and not yet taken by a trigger
	err  error    // it cannot be read
}

func (n *notification) known() bool { return n != nil && n.of != "" }

// notified reads a message as a notification of one of the stores.
func notified(m *Foreign) *notification {
	for _, read := range []func(*Foreign) *notification{notifiedByGCS, notifiedByAzure, notifiedByS3} {
		n := read(m)
		if !n.known() {
			continue
		}
		for i := range n.rest {
			o := &n.rest[i]
			o.ETag = strings.Trim(o.ETag, `"`)
			place := o.checkPlace()
			switch {
			case n.err != nil:
			case o.Bucket == "" || o.Key == "":
				n.err = fmt.Errorf("%s: object %d has no bucket or no key", n.of, i+1)
			case place != nil:
				n.err = fmt.Errorf("%s: object %d: %w", n.of, i+1, place)
			case !utf8.ValidString(o.Key):
				n.err = fmt.Errorf("%s: object %d: its key %q is not UTF-8", n.of, i+1, o.Key)
			}
		}
		return n
	}
	return &notification{}
}

// moment3339 reads a time as the stores write it. It is for people, so one that cannot be read is none.
func moment3339(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil || t.Year() < 1 || t.Year() > 9999 {
		return time.Time{}
	}
	return t.UTC()
}

// count is a number of bytes, which some write as a JSON string.
type count int64

// UnmarshalJSON reads a number, or a string with one.
func (c *count) UnmarshalJSON(data []byte) error {
	var n json.Number
	if err := json.Unmarshal(data, &n); err != nil || n == "" {
		return nil //nolint:nilerr // sizes are for people; a wrong one does not keep the job from being made
	}
	if v, err := n.Int64(); err == nil && v >= 0 {
		*c = count(v)
	}
	return nil
}
