package trigger

import (
	"fmt"
	"net/url"
	"regexp"
	"time"

	"github.com/piecework/piecework/functions/internal/ident"
)

// Object is an object that was created or replaced in a bucket. It is the arguments of the jobs of
// ObjectCreated.
type Object struct {
	Store       string    `json:"store" doc:"s3, gcs or azure"`
	Account     string    `json:"account,omitempty" doc:"the storage account, in Azure only"`
	Region      string    `json:"region,omitempty" doc:"of the bucket, in S3 only"`
	Bucket      string    `json:"bucket" doc:"the bucket, or Azure's container"`
	Key         string    `json:"key" doc:"the object's name, not encoded in any way"`
	Size        int64     `json:"size" doc:"bytes; 0 also if the notification does not say"`
	ETag        string    `json:"etag,omitempty" doc:"without quotes"`
	Version     string    `json:"version,omitempty" doc:"S3's version id, Google's generation"`
	ContentType string    `json:"content_type,omitempty" doc:"S3 does not say"`
	Time        time.Time `json:"time,omitzero" doc:"when it was created"`

	sequencer string // distinguishes the writes of a key where there is no version
}

// BucketURL returns the URL with which gocloud.dev/blob opens the bucket if the driver is linked,
// for instance "s3://uploads?region=eu-west-1", "gs://uploads" or
// "azblob://uploads?storage_account=acme". It is empty if the service does not allow the name of
// the store, account, region or bucket: such a name could lead to another host.
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

// The names that the services allow. S3 allows dots. Old buckets in us-east-1 may have underscores
// and capitals. Azure itself makes containers whose names begin with a dollar sign.
var (
	accountForm = regexp.MustCompile(`^[a-z0-9]{3,24}$`)
	regionForm  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$`)
	bucketForms = map[string]*regexp.Regexp{
		storeS3:    regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]$`),
		storeGCS:   regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$`),
		storeAzure: regexp.MustCompile(`^(\$root|\$web|\$logs|\$blobchangefeed|[a-z0-9][a-z0-9-]{1,61}[a-z0-9])$`),
	}
)

// checkPlace says which of the names that lead to the object its service does not allow.
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

// jobKey is the idempotency key of the job. It is the same for every notification of one write, and
// another for the next write of the same name.
func (o Object) jobKey() string {
	mark := o.Version
	switch {
	case mark != "":
	case o.Store == storeAzure && o.ETag != "": // every write changes it; Azure's sequencer is for comparing only
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
	return ident.Key("object", o.Store+"://"+place+"/"+o.Key+"#"+mark)
}
