package trigger_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/piecework/piecework/functions/trigger"
)

// A notification comes from outside, and a handler opens the bucket that it names with its own
// credentials.
func TestNotificationsNameNoHostOfTheSenders(t *testing.T) {
	azure := func(account, container string) string {
		return `{"eventType":"Microsoft.Storage.BlobCreated","topic":"/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/` +
			account + `","subject":"/blobServices/default/containers/` + container + `/blobs/in/a.csv","data":{"api":"PutBlob","url":"https://acme.blob.core.windows.net/c/a"}}`
	}
	s3 := func(bucket, region string) string {
		return `{"Records":[{"eventSource":"aws:s3","eventName":"ObjectCreated:Put","awsRegion":"` + region + `","s3":{"bucket":{"name":"` + bucket + `"},"object":{"key":"a"}}}]}`
	}
	gcs := func(bucket string) string {
		return `{"specversion":"1.0","id":"1","source":"s","type":"google.cloud.storage.object.v1.finalized","data":{"bucket":"` + bucket + `","name":"a"}}`
	}
	for body, want := range map[string]string{
		azure("evil.com?x=", "c-1"):             "is not the name of a storage account",
		azure("ac", "c-1"):                      "3 to 24 lower-case letters and digits",
		azure(strings.Repeat("a", 25), "c-1"):   "storage account",
		azure("acme", "C"):                      "is not the name of a bucket of azure",
		azure("acme", "evil.com"):               "bucket of azure",
		s3("uploads@evil.com", "eu-west-1"):     "is not the name of a bucket of s3",
		s3("uploads?endpoint=evil.com", ""):     "bucket of s3",
		s3("up/loads", ""):                      "bucket of s3",
		s3("uploads", "eu-west-1.evil.com/?x="): "is not the name of a region",
		gcs("uploads.evil.com/x"):               "is not the name of a bucket of gcs",
		gcs("Uploads"):                          "bucket of gcs",
		gcs(`uploads\u0000`):                    "bucket of gcs",
		gcs(strings.Repeat("a", 300)):           "bucket of gcs",
	} {
		newDesk(t, objects(trigger.ObjectCreated("csv.load"))).wantParked(t, body, nil, want)
	}
	for body, want := range map[string]string{
		azure("acme", "$web"):              "azblob://$web?storage_account=acme",
		azure("ACME", "uploads-1"):         "azblob://uploads-1?storage_account=acme",
		s3("Old_Bucket.name", "eu-west-1"): "s3://Old_Bucket.name?region=eu-west-1",
		s3("uploads", ""):                  "s3://uploads",
		gcs("my.domain_bucket-1"):          "gs://my.domain_bucket-1",
	} {
		d := newDesk(t, objects(trigger.ObjectCreated("csv.load")))
		d.accept(t, []byte(body), nil, "m")
		if jobs := d.jobs(t, "csv.load"); len(jobs) != 1 || argsOf(t, jobs[0]).BucketURL() != want {
			t.Errorf("%s: jobs %+v, want one with the bucket %s", body, jobs, want)
		}
	}
}

// Arguments need not come from a notification.
func TestBucketURLOfNamesThatAreNotAllowed(t *testing.T) {
	for _, text := range []string{
		`{"store":"azure","account":"evil.com?x=","bucket":"uploads"}`, `{"store":"azure","bucket":"up?storage_account=x"}`, `{"bucket":"uploads"}`,
		`{"store":"file","bucket":"uploads"}`, `{"store":"s3","bucket":"uploads","region":"a&endpoint=http://evil.com"}`, `{"store":"gcs"}`,
	} {
		var o trigger.Object
		if err := json.Unmarshal([]byte(text), &o); err != nil {
			t.Fatal(err)
		}
		if got := o.BucketURL(); got != "" {
			t.Errorf("the bucket of %s is %q, want none", text, got)
		}
	}
}
