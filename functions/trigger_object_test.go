package functions_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/store"
)

// foreign returns a message that another system sent.
func foreign(t testing.TB, name string) []byte {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", "foreign", name))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// objects makes a registry with kinds over objects, and triggers.
func objects(triggers ...functions.Trigger) *functions.Registry {
	reg := handle(echoing)
	for _, kind := range []string{"csv.load", "photo.shrink"} {
		functions.Handle(reg, kind, func(_ context.Context, job *functions.Job[functions.Object]) (functions.Object, error) {
			return job.Args, nil
		})
	}
	reg.Trigger(triggers...)
	return reg
}

// accept hands a message over twice, as queues do, and wants it to be taken without complaint.
func (d *desk) accept(t *testing.T, body []byte, metadata map[string]string, id string) {
	t.Helper()
	for range 2 {
		if out := d.Submit(t.Context(), body, metadata, id); out.Verdict != functions.Ack || out.Err != nil {
			t.Fatalf("body = %.60s, outcome = %+v; want Verdict = Ack and no Err", body, out)
		}
	}
}

// jobs returns the jobs of a kind, the oldest first, when all have run.
func (d *desk) jobs(t *testing.T, kind string) []functions.Info {
	t.Helper()
	d.drain(t)
	list, err := d.Client().List(t.Context(), functions.ListFilter{Kind: kind})
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(list.Jobs)
	for _, j := range list.Jobs {
		if j.State != store.Succeeded {
			t.Errorf("%s is %s: %s", j.ID, j.State, j.Error)
		}
	}
	return list.Jobs
}

// keys are the keys of those, in order.
func (d *desk) keys(t *testing.T, kind string) []string {
	t.Helper()
	var keys []string
	for _, j := range d.jobs(t, kind) {
		keys = append(keys, j.Key)
	}
	slices.Sort(keys)
	return keys
}

func argsOf(t *testing.T, i functions.Info) functions.Object {
	t.Helper()
	var o functions.Object
	if err := json.Unmarshal(i.Args, &o); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestObjectsThatAreCreatedBecomeJobs(t *testing.T) {
	when := time.Date(2026, 11, 21, 8, 0, 0, 123e6, time.UTC)
	gcs := functions.Object{
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
	s3 := functions.Object{
		Store: "s3", Region: "eu-west-1", Bucket: "uploads", Key: "in/hello wörld+1.csv", Size: 1024,
		ETag: "d41d8cd98f00b204e9800998ecf8427e", Version: "096fKKXTRTtl3on89fVO.nfljtsv6qko", Time: when,
	}
	bridged := s3
	bridged.Time = when.Truncate(time.Second)
	azure := functions.Object{
		Store: "azure", Account: "acme", Bucket: "uploads", Key: "in/a b.csv", Size: 1024, ETag: "0x8D4BCC2E4835CD0",
		ContentType: "text/csv", Time: when.Add(456700),
	}
	for name, c := range map[string]struct {
		body     []byte
		metadata map[string]string
		want     functions.Object
		key, url string
	}{
		"S3":                {foreign(t, "s3.json"), nil, s3, "s3://uploads/in/hello wörld+1.csv#096fKKXTRTtl3on89fVO.nfljtsv6qko", "s3://uploads?region=eu-west-1"},
		"S3 by SNS":         {foreign(t, "s3-sns.json"), nil, s3, "s3://uploads/in/hello wörld+1.csv#096fKKXTRTtl3on89fVO.nfljtsv6qko", "s3://uploads?region=eu-west-1"},
		"S3 by EventBridge": {foreign(t, "s3-eventbridge.json"), nil, bridged, "s3://uploads/in/hello wörld+1.csv#096fKKXTRTtl3on89fVO.nfljtsv6qko", "s3://uploads?region=eu-west-1"},
		"MinIO": {
			foreign(t, "s3-minio.json"), nil,
			functions.Object{Store: "s3", Bucket: "uploads", Key: "in/a.csv", Size: 16, ETag: s3.ETag, Time: when},
			"s3://uploads/in/a.csv#17A3C1F0E1B2C3D4", "s3://uploads",
		},
		"GCS": {foreign(t, "gcs.json"), gcsAttributes, gcs, "gcs://uploads/in/a b.csv#1763712000123456", "gs://uploads"},
		"GCS without payload": {
			nil, bare, functions.Object{Store: "gcs", Bucket: "uploads", Key: gcs.Key, Version: gcs.Version, Time: when},
			"gcs://uploads/in/a b.csv#1763712000123456", "gs://uploads",
		},
		"GCS by Eventarc": {
			foreign(t, "gcs.json"), map[string]string{
				"ce-specversion": "1.0", "ce-type": "google.cloud.storage.object.v1.finalized", "ce-id": "9", "content-type": "application/json",
				"ce-source": "//storage.googleapis.com/projects/_/buckets/uploads", "ce-subject": "objects/in/a b.csv",
			}, gcs, "gcs://uploads/in/a b.csv#1763712000123456", "gs://uploads",
		},
		"Event Grid":                {foreign(t, "azure.json"), nil, azure, "azure://acme/uploads/in/a b.csv#0x8D4BCC2E4835CD0", "azblob://uploads?storage_account=acme"},
		"Event Grid, batch":         {[]byte("[" + string(foreign(t, "azure.json")) + "]"), nil, azure, "azure://acme/uploads/in/a b.csv#0x8D4BCC2E4835CD0", "azblob://uploads?storage_account=acme"},
		"Event Grid as CloudEvents": {foreign(t, "azure-cloudevent.json"), nil, azure, "azure://acme/uploads/in/a b.csv#0x8D4BCC2E4835CD0", "azblob://uploads?storage_account=acme"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, objects(functions.JSONBody("shop.order", functions.WhenField("item", "tea")), functions.ObjectCreated("csv.load")))
			d.accept(t, c.body, c.metadata, "m1")
			d.accept(t, c.body, c.metadata, "m2") // the store sent it twice
			jobs := d.jobs(t, "csv.load")
			if len(jobs) != 1 {
				t.Fatalf("%d jobs", len(jobs))
			}
			o := argsOf(t, jobs[0])
			if diff := cmp.Diff(c.want, o, cmpopts.IgnoreUnexported(functions.Object{})); diff != "" {
				t.Error(diff)
			}
			if jobs[0].Key != c.key || o.BucketURL() != c.url {
				t.Errorf("key %q, bucket %q", jobs[0].Key, o.BucketURL())
			}
		})
	}
}

func TestTheSameObjectByTwoWaysIsOneJob(t *testing.T) {
	d := newDesk(t, objects(functions.ObjectCreated("csv.load")))
	for i, name := range []string{"s3.json", "s3-sns.json", "s3-eventbridge.json"} {
		d.accept(t, foreign(t, name), nil, fmt.Sprint("m", i))
	}
	if jobs := d.jobs(t, "csv.load"); len(jobs) != 1 || d.Stats().Existing.Load() != 5 {
		t.Errorf("%d jobs, %d existing", len(jobs), d.Stats().Existing.Load())
	}
	again := strings.NewReplacer("096fKKXTRTtl3on89fVO.nfljtsv6qko", "v2").Replace(string(foreign(t, "s3.json")))
	d.accept(t, []byte(again), nil, "m9")
	if jobs := d.jobs(t, "csv.load"); len(jobs) != 2 {
		t.Errorf("%d jobs for two versions", len(jobs))
	}
}

func TestObjectsOfOneMessageGoToTheirOwnTriggers(t *testing.T) {
	d := newDesk(t, objects(
		functions.ObjectCreated("photo.shrink", functions.ObjectPrefix("photos/"), functions.ObjectSuffix(".png", ".jpg"), functions.Queue("images"), functions.Tags("s3")),
		functions.ObjectCreated("csv.load", functions.ObjectBucket("uploads"), functions.ObjectSuffix(".csv")),
	))
	d.accept(t, foreign(t, "s3-several.json"), nil, "m1")
	photos, tables := d.jobs(t, "photo.shrink"), d.jobs(t, "csv.load")
	if len(photos) != 1 || len(tables) != 1 {
		t.Fatalf("%d photos, %d tables", len(photos), len(tables))
	}
	if p := photos[0]; p.Queue != "images" || !slices.Equal(p.Tags, []string{"s3"}) || argsOf(t, p).Key != "photos/c.jpg" {
		t.Errorf("parked message = %+v; want Queue = \"images\", Equal(p.Tags, []string{\"s3\"}) and argsOf(t, p).Key = \"photos/c.jpg\"", p)
	}
	if argsOf(t, tables[0]).Key != "in/a.csv" {
		t.Errorf("table = %+v; want argsOf(t, tables[0]).Key = \"in/a.csv\"", tables[0])
	}
	d.none(t)
}

// none wants no message to have been parked.
func (d *desk) none(t *testing.T) {
	t.Helper()
	parked, _, err := d.Client().Parked(t.Context(), 10, "")
	if err != nil || len(parked) != 0 {
		t.Errorf("parked: %+v, %v", parked, err)
	}
}

// What tells of no new object is acknowledged, and no catch-all makes a job of it.
func TestNotificationsOfNoInterestAreAcknowledged(t *testing.T) {
	for name, c := range map[string]struct {
		body     string
		metadata map[string]string
	}{
		"S3's test event":        {string(foreign(t, "s3-test.json")), nil},
		"removed":                {`{"Records":[{"eventSource":"aws:s3","eventName":"ObjectRemoved:Delete","s3":{}}]}`, nil},
		"EventBridge, deleted":   {`{"detail-type":"Object Deleted","source":"aws.s3","detail":{}}`, nil},
		"filtered":               {strings.ReplaceAll(string(foreign(t, "s3.json")), ".csv", ".txt"), nil},
		"GCS, deleted":           {"", map[string]string{"eventType": "OBJECT_DELETE", "bucketId": "b", "objectId": "o"}},
		"Eventarc, deleted":      {`{"specversion":"1.0","id":"1","source":"s","type":"google.cloud.storage.object.v1.deleted"}`, nil},
		"Azure, deleted":         {strings.ReplaceAll(string(foreign(t, "azure.json")), "BlobCreated", "BlobDeleted"), nil},
		"Azure, not yet written": {strings.ReplaceAll(string(foreign(t, "azure.json")), "PutBlockList", "CreateFile"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			reg := objects(functions.ObjectCreated("csv.load", functions.ObjectSuffix(".csv")))
			functions.Declare[map[string]any, any](reg, "anything")
			reg.Trigger(functions.JSONBody("anything"))
			d := newDesk(t, reg)
			d.accept(t, []byte(c.body), c.metadata, "m1")
			if len(d.take()) != 0 || d.Stats().Ignored.Load() != 2 {
				t.Errorf("%d ignored", d.Stats().Ignored.Load())
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
		"no key":         {record(`{"bucket":{"name":"bkt"},"object":{}}`), nil, "object 1 has no bucket or no key"},
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
			d := newDesk(t, objects(functions.ObjectCreated("csv.load")))
			out := d.Accept(t.Context(), functions.Incoming{Body: []byte(c.body), Metadata: c.metadata, MessageID: "m", Deliveries: 1})
			if out.Verdict != functions.Ack || out.Err == nil || !strings.Contains(out.Err.Error(), c.want) ||
				!strings.Contains(out.Err.Error(), `trigger ObjectCreated("csv.load")`) {
				t.Errorf("outcome = %+v; want an error that names the trigger", out)
			}
			parked, _, err := d.Client().Parked(t.Context(), 10, "")
			if err != nil || len(parked) != 1 || !strings.Contains(parked[0].Reason, c.want) {
				t.Errorf("parked messages = %+v, error = %v; want no error, 1 parked and parked[0].Reason to contain c.want", parked, err)
			}
		})
	}
}

func TestLongObjectNamesHaveKeysToo(t *testing.T) {
	d := newDesk(t, objects(functions.ObjectCreated("csv.load")))
	for i, end := range []string{"a", "b"} {
		body := strings.ReplaceAll(string(foreign(t, "s3.json")), "in/hello", strings.Repeat("long/", 200)+end)
		d.accept(t, []byte(body), nil, fmt.Sprint("m", i))
	}
	jobs := d.jobs(t, "csv.load")
	if len(jobs) != 2 || jobs[0].Key == jobs[1].Key || !strings.HasPrefix(jobs[0].Key, "object/") {
		t.Errorf("jobs = %+v; want 2 jobs, jobs[0].Key other than jobs[1].Key and HasPrefix(jobs[0].Key, \"object/\")", jobs)
	}
}
