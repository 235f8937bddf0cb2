package aws_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"gocloud.dev/docstore"
	"gocloud.dev/gcerrors"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/infra/drivers/aws"
	"github.com/piecework/piecework/store"
)

type record struct {
	ID    string `docstore:"id"`
	Rev   any    `docstore:"rev"`
	DueSK string `docstore:"due_sk,omitempty"`
}

func index(name, pk, sk string) object {
	return object{
		"IndexName": name, "IndexStatus": "ACTIVE", "Projection": object{"ProjectionType": "KEYS_ONLY"},
		"KeySchema": []object{{"AttributeName": pk, "KeyType": "HASH"}, {"AttributeName": sk, "KeyType": "RANGE"}},
	}
}

func described(indexes ...object) object {
	return object{"Table": object{
		"TableName": "jobs", "TableStatus": "ACTIVE", "KeySchema": []object{{"AttributeName": "id", "KeyType": "HASH"}},
		"GlobalSecondaryIndexes": indexes,
	}}
}

func item(id string) object { return object{"id": object{"S": id}, "rev": object{"S": "r-" + id}} }

func openTable(t *testing.T, s *stub, params ...string) *docstore.Collection {
	t.Helper()
	url := "dynamodb://jobs?region=eu-central-1&endpoint=" + s.url + strings.Join(params, "")
	coll, closeStore, err := drivers.New(aws.Register).OpenStore(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = closeStore() })
	return coll
}

func TestReadsByIDAreConsistentAndComplete(t *testing.T) {
	s := newStub(t, map[string]func(int, object) (int, object){
		"DescribeTable": ok(described()),
		"BatchGetItem": func(n int, _ object) (int, object) {
			if n == 0 { // throttled in part
				return http.StatusOK, object{
					"Responses":       object{"jobs": []object{item("a")}},
					"UnprocessedKeys": object{"jobs": object{"Keys": []object{{"id": object{"S": "b"}}}, "ConsistentRead": true}},
				}
			}
			return http.StatusOK, object{"Responses": object{"jobs": []object{item("b")}}}
		},
	})
	a, b, c := &record{ID: "a"}, &record{ID: "b"}, &record{ID: "c"}
	err := openTable(t, s).Actions().Get(a, "rev").Get(b, "rev").Get(c, "rev").Do(t.Context())
	var list docstore.ActionListError
	if !errors.As(err, &list) || len(list) != 1 || list[0].Index != 2 || gcerrors.Code(list[0].Err) != gcerrors.NotFound {
		t.Errorf("error %v, want c alone not to be found", err)
	}
	if a.Rev != "r-a" || b.Rev != "r-b" {
		t.Errorf("read %v and %v", a, b)
	}
	for i, req := range s.requests("BatchGetItem") {
		if keys := req["RequestItems"].(object)["jobs"].(object); keys["ConsistentRead"] != true {
			t.Errorf("read %d is not consistent: %v", i, keys)
		}
	}
	if n := len(s.requests("DescribeTable")); n != 1 {
		t.Errorf("opening described the table %d times", n)
	}
}

func TestReadsThatStayThrottledAreNotTakenForNotFound(t *testing.T) {
	s := newStub(t, map[string]func(int, object) (int, object){
		"DescribeTable": ok(described()),
		"BatchGetItem":  ok(object{"UnprocessedKeys": object{"jobs": object{"Keys": []object{{"id": object{"S": "a"}}}}}}),
	})
	err := openTable(t, s).Get(t.Context(), &record{ID: "a"}, "rev")
	if gcerrors.Code(err) != gcerrors.ResourceExhausted {
		t.Errorf("error %v", err)
	}
}

func TestQueriesAskAnIndexForNoMoreThanTheirLimit(t *testing.T) {
	s := newStub(t, map[string]func(int, object) (int, object){
		"DescribeTable": ok(described(index("due", "due_pk", "due_sk"))),
		"Query": ok(object{"Items": []object{
			{"id": object{"S": "a"}, "due_sk": object{"S": "1#a"}}, {"id": object{"S": "b"}, "due_sk": object{"S": "2#b"}},
		}}),
	})
	coll := openTable(t, s)
	q := coll.Query().Where("due_pk", "=", "due#1").Where("due_sk", "<", "9").OrderBy("due_sk", docstore.Ascending).Limit(2)
	if plan, err := q.Plan("id", "due_sk"); err != nil || plan != `Index: "due"` {
		t.Errorf("plan %q, %v", plan, err)
	}
	it := q.Get(t.Context(), "id", "due_sk")
	defer it.Stop()
	var ids []string
	for {
		var r record
		if err := it.Next(t.Context(), &r); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, r.ID)
	}
	req := s.requests("Query")[0]
	if strings.Join(ids, "") != "ab" || req["Limit"] != float64(2) || req["ConsistentRead"] != false || req["IndexName"] != "due" {
		t.Errorf("%v from %v", ids, req)
	}
	scan := coll.Query().Where("data", "=", "x").Get(t.Context(), "id")
	defer scan.Stop()
	if err := scan.Next(t.Context(), &record{}); gcerrors.Code(err) != gcerrors.InvalidArgument {
		t.Errorf("a scan gives %v", err)
	}
}

func TestScansAreForThoseWhoAskForThem(t *testing.T) {
	s := newStub(t, map[string]func(int, object) (int, object){
		"DescribeTable": ok(described()), "Scan": ok(object{"Items": []object{item("a")}}),
	})
	it := openTable(t, s, "&allow_scans=true").Query().Get(t.Context(), "id", "rev")
	defer it.Stop()
	var r record
	if err := it.Next(t.Context(), &r); err != nil || r.ID != "a" {
		t.Errorf("scanned %+v, %v", r, err)
	}
	if err := it.Next(t.Context(), &r); !errors.Is(err, io.EOF) {
		t.Errorf("the end of the scan is %v", err)
	}
}

func TestWritesAndTheirErrorsPassThrough(t *testing.T) {
	s := newStub(t, map[string]func(int, object) (int, object){
		"DescribeTable": ok(described()),
		"PutItem":       ok(object{}),
		"UpdateItem": func(int, object) (int, object) {
			return http.StatusBadRequest, object{"__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException"}
		},
	})
	coll := openTable(t, s)
	r := &record{ID: "a"}
	if err := coll.Create(t.Context(), r); err != nil || r.Rev == nil {
		t.Errorf("coll.Create: got %v, %v, want no error && r.Rev != nil", r, err)
	}
	if err := coll.Update(t.Context(), r, docstore.Mods{"due_sk": "1"}); gcerrors.Code(err) != gcerrors.FailedPrecondition {
		t.Errorf("error %v", err)
	}
	text, err := coll.RevisionToString(r.Rev)
	if err != nil {
		t.Fatal(err)
	}
	if rev, err := coll.StringToRevision(text); err != nil || rev != r.Rev {
		t.Errorf("revision %v, %v", rev, err)
	}
}

func TestTheTableIsCreatedOnce(t *testing.T) {
	var made bool
	s := newStub(t, map[string]func(int, object) (int, object){
		"DescribeTable": func(int, object) (int, object) {
			if !made {
				return http.StatusBadRequest, object{"__type": "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException"}
			}
			return http.StatusOK, described(index("due", "due_pk", "due_sk"), index("list", "list_pk", "list_sk"), index("fail", "fail_pk", "fail_sk"))
		},
		"CreateTable":        func(int, object) (int, object) { made = true; return http.StatusOK, object{} },
		"DescribeTimeToLive": ok(object{"TimeToLiveDescription": object{"TimeToLiveStatus": "DISABLED"}}),
		"UpdateTimeToLive":   ok(object{}),
	})
	p, err := drivers.New(aws.Register).Provisioner(drivers.Config{Store: "dynamodb://jobs?ttl=true&region=x&endpoint=" + s.url})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(p.Apply(t.Context()), p.Apply(t.Context())); err != nil {
		t.Fatal(err)
	}
	created := s.requests("CreateTable")
	if len(created) != 1 || len(created[0]["GlobalSecondaryIndexes"].([]any)) != len(store.Indexes()) ||
		len(created[0]["AttributeDefinitions"].([]any)) != 7 || created[0]["BillingMode"] != "PAY_PER_REQUEST" {
		t.Errorf("created %v", created)
	}
	text, err := p.Print()
	if err != nil || strings.Count(text, "KEYS_ONLY") != 3 || !strings.Contains(text, "update-time-to-live --table-name jobs") {
		t.Errorf("printed (error %v), want three indexes of keys only and the expiry of table jobs:\n%s", err, text)
	}
}

func TestMissingIndexesAreAddedAndWrongOnesRefused(t *testing.T) {
	have := []object{index("due", "due_pk", "due_sk"), index("list", "list_pk", "list_sk")}
	s := newStub(t, map[string]func(int, object) (int, object){
		"DescribeTable": func(int, object) (int, object) { return http.StatusOK, described(have...) },
		"UpdateTable":   ok(object{}),
	})
	p, err := drivers.New(aws.Register).Provisioner(drivers.Config{Store: "dynamodb://jobs?region=x&endpoint=" + s.url})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Apply(t.Context()); err != nil || len(s.requests("UpdateTable")) != 1 {
		t.Errorf(`p.Apply: got %v, %v, want no error && len(s.requests("UpdateTable")) == 1`, err, s.requests("UpdateTable"))
	}
	have[0] = index("due", "due_pk", "id")
	if err := p.Apply(t.Context()); err == nil || !strings.Contains(err.Error(), "other fields") {
		t.Errorf("error %v", err)
	}
}

func TestTableURLs(t *testing.T) {
	newStub(t, nil)
	for raw, want := range map[string]string{
		"dynamodb://?region=x":                 "no table",
		"dynamodb://jobs":                      "no region",
		"dynamodb://jobs/x?region=x":           "path",
		"dynamodb://jobs?regoin=x":             `did you mean "region"?`,
		"dynamodb://jobs?region=x&parallel=0":  "from 1 to 1000",
		"dynamodb://jobs?region=x&role=nobody": "ARN",
	} {
		_, _, err := drivers.New(aws.Register).OpenStore(t.Context(), raw)
		if !errors.Is(err, functions.ErrConfig) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", raw, err, want)
		}
	}
}

// What the network, the rights or a missing init do to the first question is no fault of the URL.
func TestATableThatCannotBeDescribed(t *testing.T) {
	for kind, want := range map[string]string{
		"ResourceNotFoundException": "there is no table jobs in this account and region; pieceworkd init creates it",
		"AccessDeniedException":     "describe table jobs: ",
	} {
		s := newStub(t, map[string]func(int, object) (int, object){
			"DescribeTable": func(int, object) (int, object) { return http.StatusBadRequest, object{"__type": kind, "message": "no"} },
		})
		_, _, err := drivers.New(aws.Register).OpenStore(t.Context(), "dynamodb://jobs?region=x&endpoint="+s.url)
		if err == nil || errors.Is(err, functions.ErrConfig) || !strings.Contains(err.Error(), want) ||
			strings.Contains(err.Error(), "init") != (kind == "ResourceNotFoundException") {
			t.Errorf("%s: error %v, want %q", kind, err, want)
		}
	}
}

func TestWhatIsThrottledIsLeftToTheStoreAndFaultsAreRepeated(t *testing.T) {
	fail := func(status int, kind string) func(int, object) (int, object) {
		return func(int, object) (int, object) { return status, object{"__type": kind, "message": "no"} }
	}
	s := newStub(t, map[string]func(int, object) (int, object){
		"DescribeTable": func(n int, _ object) (int, object) {
			if n == 0 {
				return http.StatusBadRequest, object{"__type": "com.amazonaws.dynamodb.v20120810#ThrottlingException"}
			}
			return http.StatusOK, described()
		},
		"PutItem":      fail(http.StatusBadRequest, "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException"),
		"UpdateItem":   fail(http.StatusBadRequest, "com.amazon.coral.availability#ThrottlingException"),
		"BatchGetItem": fail(http.StatusBadRequest, "com.amazonaws.dynamodb.v20120810#RequestLimitExceeded"),
		"DeleteItem":   fail(http.StatusInternalServerError, "com.amazonaws.dynamodb.v20120810#InternalServerError"),
	})
	coll := openTable(t, s)
	for _, c := range []struct {
		op    string
		err   error
		want  gcerrors.ErrorCode
		times int
	}{
		{"DescribeTable", nil, gcerrors.OK, 2}, // there is no store yet that could wait
		{"PutItem", coll.Create(t.Context(), &record{ID: "a"}), gcerrors.ResourceExhausted, 1},
		{"UpdateItem", coll.Update(t.Context(), &record{ID: "a"}, docstore.Mods{"due_sk": "1"}), gcerrors.Unknown, 1},
		{"BatchGetItem", coll.Get(t.Context(), &record{ID: "a"}, "rev"), gcerrors.ResourceExhausted, 1},
		{"DeleteItem", coll.Delete(t.Context(), &record{ID: "a"}), gcerrors.Internal, 3},
	} {
		if n := len(s.requests(c.op)); gcerrors.Code(c.err) != c.want || n != c.times {
			t.Errorf("%s was asked for %d times, want %d; error %v, want code %v", c.op, n, c.times, c.err, c.want)
		}
	}
}
