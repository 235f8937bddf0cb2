package trigger_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/trigger"
)

func argsOf(t *testing.T, i functions.Info) trigger.Object {
	t.Helper()
	var o trigger.Object
	if err := json.Unmarshal(i.Args, &o); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestObjectsThatAreCreatedBecomeJobs(t *testing.T) {
	when := time.Date(2026, 11, 21, 8, 0, 0, 123e6, time.UTC)
	gcs := trigger.Object{
		Store: "gcs", Bucket: "uploads", Key: "in/a b.csv", Size: 1024, ETag: "CMDo9PGk/ocDEAE=", Version: "1763712000123456",
		ContentType: "text/csv", Time: when,
	}
	gcsAttributes := map[string]string{
		"notificationConfig": "projects/_/buckets/uploads/notificationConfigs/3", "eventType": "OBJECT_FINALIZE",
		"payloadFormat": "JSON_API_V1", "bucketId": "uploads", "objectId": "in/a b.csv", "objectGeneration": "1763712000123456",
		"eventTime": "2026-11-21T08:00:00.123Z",
	}
	bare := map[string]string{
		"eventType": "OBJECT_FINALIZE", "payloadFormat": "NONE", "bucketId": "uploads", "objectId": "in/a b.csv",
		"objectGeneration": "1763712000123456", "eventTime": "2026-11-21T08:00:00.123Z",
	}
	s3 := trigger.Object{
		Store: "s3", Region: "eu-west-1", Bucket: "uploads", Key: "in/hello wörld+1.csv", Size: 1024,
		ETag: "d41d8cd98f00b204e9800998ecf8427e", Version: "096fKKXTRTtl3on89fVO.nfljtsv6qko", Time: when,
	}
	bridged := s3
	bridged.Time = when.Truncate(time.Second)
	azure := trigger.Object{
		Store: "azure", Account: "acme", Bucket: "uploads", Key: "in/a b.csv", Size: 1024, ETag: "0x8D4BCC2E4835CD0",
		ContentType: "text/csv", Time: when.Add(456700),
	}
	for name, c := range map[string]struct {
		body     []byte
		metadata map[string]string
		want     trigger.Object
		key, url string
	}{
		"S3":                {message(t, "s3.json"), nil, s3, "s3://uploads/in/hello wörld+1.csv#096fKKXTRTtl3on89fVO.nfljtsv6qko", "s3://uploads?region=eu-west-1"},
		"S3 by SNS":         {message(t, "s3-sns.json"), nil, s3, "s3://uploads/in/hello wörld+1.csv#096fKKXTRTtl3on89fVO.nfljtsv6qko", "s3://uploads?region=eu-west-1"},
		"S3 by EventBridge": {message(t, "s3-eventbridge.json"), nil, bridged, "s3://uploads/in/hello wörld+1.csv#096fKKXTRTtl3on89fVO.nfljtsv6qko", "s3://uploads?region=eu-west-1"},
		"MinIO": {
			message(t, "s3-minio.json"), nil,
			trigger.Object{Store: "s3", Bucket: "uploads", Key: "in/a.csv", Size: 16, ETag: s3.ETag, Time: when},
			"s3://uploads/in/a.csv#17A3C1F0E1B2C3D4", "s3://uploads",
		},
		"GCS": {message(t, "gcs.json"), gcsAttributes, gcs, "gcs://uploads/in/a b.csv#1763712000123456", "gs://uploads"},
		"GCS without payload": {
			nil, bare, trigger.Object{Store: "gcs", Bucket: "uploads", Key: gcs.Key, Version: gcs.Version, Time: when},
			"gcs://uploads/in/a b.csv#1763712000123456", "gs://uploads",
		},
		"GCS by Eventarc": {
			message(t, "gcs.json"), map[string]string{
				"ce-specversion": "1.0", "ce-type": "google.cloud.storage.object.v1.finalized", "ce-id": "9", "content-type": "application/json",
				"ce-source": "//storage.googleapis.com/projects/_/buckets/uploads", "ce-subject": "objects/in/a b.csv",
			}, gcs, "gcs://uploads/in/a b.csv#1763712000123456", "gs://uploads",
		},
		"Event Grid":                {message(t, "azure.json"), nil, azure, "azure://acme/uploads/in/a b.csv#0x8D4BCC2E4835CD0", "azblob://uploads?storage_account=acme"},
		"Event Grid, batch":         {[]byte("[" + string(message(t, "azure.json")) + "]"), nil, azure, "azure://acme/uploads/in/a b.csv#0x8D4BCC2E4835CD0", "azblob://uploads?storage_account=acme"},
		"Event Grid as CloudEvents": {message(t, "azure-cloudevent.json"), nil, azure, "azure://acme/uploads/in/a b.csv#0x8D4BCC2E4835CD0", "azblob://uploads?storage_account=acme"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, objects(trigger.JSONBody("shop.order", trigger.WhenField("item", "tea")), trigger.ObjectCreated("csv.load")))
			d.accept(t, c.body, c.metadata, "m1")
			d.accept(t, c.body, c.metadata, "m2") // the store sent it twice
			jobs := d.jobs(t, "csv.load")
			if len(jobs) != 1 {
				t.Fatalf("%d jobs, want 1", len(jobs))
			}
			o := argsOf(t, jobs[0])
			if diff := cmp.Diff(c.want, o, cmpopts.IgnoreUnexported(trigger.Object{})); diff != "" {
				t.Error(diff)
			}
			if jobs[0].Key != c.key || o.BucketURL() != c.url {
				t.Errorf("key %q, bucket %q; want %q, %q", jobs[0].Key, o.BucketURL(), c.key, c.url)
			}
		})
	}
}

func TestTheSameObjectByTwoWaysIsOneJob(t *testing.T) {
	d := newDesk(t, objects(trigger.ObjectCreated("csv.load")))
	for i, name := range []string{"s3.json", "s3-sns.json", "s3-eventbridge.json"} {
		d.accept(t, message(t, name), nil, fmt.Sprint("m", i))
	}
	if jobs := d.jobs(t, "csv.load"); len(jobs) != 1 || d.Stats().Existing.Load() != 5 {
		t.Errorf("%d jobs, %d submissions that found theirs; want 1 and 5", len(jobs), d.Stats().Existing.Load())
	}
	again := strings.NewReplacer("096fKKXTRTtl3on89fVO.nfljtsv6qko", "v2").Replace(string(message(t, "s3.json")))
	d.accept(t, []byte(again), nil, "m9")
	if jobs := d.jobs(t, "csv.load"); len(jobs) != 2 {
		t.Errorf("%d jobs for two versions, want 2", len(jobs))
	}
}

func TestObjectsOfOneMessageGoToTheirOwnTriggers(t *testing.T) {
	d := newDesk(t, objects(
		trigger.ObjectCreated("photo.shrink", trigger.ObjectPrefix("photos/"), trigger.ObjectSuffix(".png", ".jpg"), functions.Queue("images"), functions.Tags("s3")),
		trigger.ObjectCreated("csv.load", trigger.ObjectBucket("uploads"), trigger.ObjectSuffix(".csv")),
	))
	d.accept(t, message(t, "s3-several.json"), nil, "m1")
	photos, tables := d.jobs(t, "photo.shrink"), d.jobs(t, "csv.load")
	if len(photos) != 1 || len(tables) != 1 {
		t.Fatalf("%d photos and %d tables, want 1 of each", len(photos), len(tables))
	}
	if p := photos[0]; p.Queue != "images" || !slices.Equal(p.Tags, []string{"s3"}) || argsOf(t, p).Key != "photos/c.jpg" {
		t.Errorf("job %+v, want the queue images, the tag s3 and the object photos/c.jpg", p)
	}
	if argsOf(t, tables[0]).Key != "in/a.csv" {
		t.Errorf("job %+v, want the object in/a.csv", tables[0])
	}
	d.none(t)
}

// A notification about anything but a new object is acknowledged, and no JSONBody takes it.
func TestNotificationsOfNoInterestAreAcknowledged(t *testing.T) {
	for name, c := range map[string]struct {
		body     string
		metadata map[string]string
	}{
		"S3's test event":        {string(message(t, "s3-test.json")), nil},
		"removed":                {`{"Records":[{"eventSource":"aws:s3","eventName":"ObjectRemoved:Delete","s3":{}}]}`, nil},
		"EventBridge, deleted":   {`{"detail-type":"Object Deleted","source":"aws.s3","detail":{}}`, nil},
		"filtered":               {strings.ReplaceAll(string(message(t, "s3.json")), ".csv", ".txt"), nil},
		"GCS, deleted":           {"", map[string]string{"eventType": "OBJECT_DELETE", "bucketId": "b", "objectId": "o"}},
		"Eventarc, deleted":      {`{"specversion":"1.0","id":"1","source":"s","type":"google.cloud.storage.object.v1.deleted"}`, nil},
		"Azure, deleted":         {strings.ReplaceAll(string(message(t, "azure.json")), "BlobCreated", "BlobDeleted"), nil},
		"Azure, not yet written": {strings.ReplaceAll(string(message(t, "azure.json")), "PutBlockList", "CreateFile"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			reg := objects(trigger.ObjectCreated("csv.load", trigger.ObjectSuffix(".csv")))
			functions.Kind[map[string]any, any]("anything").Declare(reg)
			reg.Trigger(trigger.JSONBody("anything"))
			d := newDesk(t, reg)
			d.accept(t, []byte(c.body), c.metadata, "m1")
			if made, ignored := d.made(), d.Stats().Ignored.Load(); made != 0 || ignored != 2 {
				t.Errorf("%d jobs made, %d deliveries ignored; want 0 and 2", made, ignored)
			}
			d.none(t)
		})
	}
}

func TestBrokenNotificationsSayWhatIsWrong(t *testing.T) {
	gcs := map[string]string{"eventType": "OBJECT_FINALIZE", "bucketId": "bkt", "objectId": "o", "payloadFormat": "JSON_API_V1"}
	record := func(s3 string) string {
		return `{"Records":[{"eventSource":"aws:s3","eventName":"ObjectCreated:Put","s3":` + s3 + `}]}`
	}
	for name, c := range map[string]struct {
		body     string
		metadata map[string]string
		want     string
	}{
		"no s3":          {record("null"), nil, `record 1 has no member "s3"`},
		"no key":         {record(`{"bucket":{"name":"bkt"},"object":{}}`), nil, "object 1: it has no bucket or no key"},
		"bad escape":     {record(`{"bucket":{"name":"bkt"},"object":{"key":"a%zz"}}`), nil, "not URL-encoded"},
		"not UTF-8":      {record(`{"bucket":{"name":"bkt"},"object":{"key":"%ff"}}`), nil, "not UTF-8"},
		"key of a type":  {record(`{"bucket":{"name":"bkt"},"object":{"key":7}}`), nil, "cannot unmarshal number"},
		"bridge":         {`{"detail-type":"Object Created","source":"aws.s3"}`, nil, `no member "detail"`},
		"GCS payload":    {"x", gcs, "Cloud Storage notification: payload"},
		"GCS no name":    {"{}", map[string]string{"eventType": "OBJECT_FINALIZE", "bucketId": "bkt"}, "no bucket or no key"},
		"Eventarc":       {`{"specversion":"1.0","id":"1","source":"s","type":"google.cloud.storage.object.v1.finalized","data":7}`, nil, "Cloud Storage event: data"},
		"Azure, subject": {`{"eventType":"Microsoft.Storage.BlobCreated","subject":"/x","data":{}}`, nil, `subject "/x": want /blobServices`},
		"Azure, no data": {`{"eventType":"Microsoft.Storage.BlobCreated","subject":"/x"}`, nil, "no data"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, objects(trigger.ObjectCreated("csv.load")))
			in := functions.Incoming{Body: []byte(c.body), Metadata: c.metadata, MessageID: "m", Deliveries: 1}
			if out := d.Accept(t.Context(), in); out.Verdict != functions.Ack || out.Err == nil || !strings.Contains(out.Err.Error(), c.want) {
				t.Errorf("first delivery: verdict %s, error %v; want it parked with %q", out.Verdict, out.Err, c.want)
			}
			parked, _, err := d.Client().Parked(t.Context(), 10, "")
			if err != nil || len(parked) != 1 || !strings.HasPrefix(parked[0].Reason, `trigger ObjectCreated("csv.load"): `) {
				t.Errorf("parked messages: %+v, error %v; want one that names the trigger", parked, err)
			}
		})
	}
}

func TestLongObjectNamesHaveKeysToo(t *testing.T) {
	d := newDesk(t, objects(trigger.ObjectCreated("csv.load")))
	for i, end := range []string{"a", "b"} {
		body := strings.ReplaceAll(string(message(t, "s3.json")), "in/hello", strings.Repeat("long/", 200)+end)
		d.accept(t, []byte(body), nil, fmt.Sprint("m", i))
	}
	jobs := d.jobs(t, "csv.load")
	if len(jobs) != 2 || jobs[0].Key == jobs[1].Key || !strings.HasPrefix(jobs[0].Key, "object/") {
		t.Errorf("jobs %+v, want two with different keys that begin with object/", jobs)
	}
}
