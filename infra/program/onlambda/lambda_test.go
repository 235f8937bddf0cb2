package onlambda_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/store"
)

const (
	submitARN = "arn:aws:sqs:eu-central-1:123456789012:piecework-submit"
	queueARN  = "arn:aws:sqs:eu-central-1:123456789012:piecework-default"
)

// wantReply fails the test unless an answer is not an error and says all the texts.
func wantReply(t *testing.T, r reply, texts ...string) {
	t.Helper()
	if r.failed || !strings.HasPrefix(r.contentType, "application/") {
		t.Errorf("answer %+v", r)
	}
	for _, text := range texts {
		if !strings.Contains(r.body, text) {
			t.Errorf("answer %s does not say %s", r.body, text)
		}
	}
}

// A job goes through all three functions, each a process of its own.
func TestTheFunctionsOfAJob(t *testing.T) {
	w := newWorld(t)
	submit := w.start("submit")
	wantReply(t, submit.invoke(sqsEvent(t, submitARN, `{"kind":"test.double","args":21}`)), `{"batchItemFailures":[]}`)
	client := w.open()
	list, err := client.List(t.Context(), functions.ListFilter{})
	if err != nil || len(list.Jobs) != 1 {
		t.Fatalf("%d jobs, error %v", len(list.Jobs), err)
	}
	id := list.Jobs[0].ID
	wantReply(t, w.start("sweep").invoke(`{}`), `"looked":0`, `"more":false`)
	execute := w.start("execute")
	wantReply(t, execute.invoke(sqsEvent(t, queueARN, `{"id":"`+id+`"}`, "nonsense")), `{"batchItemFailures":[]}`)
	i, err := client.Get(t.Context(), id)
	if err != nil || i.State != store.Succeeded || string(i.Result) != "42" {
		t.Errorf("job %+v, error %v", i, err)
	}
	if got := i.Attempts[0].Worker; got != "2026/11/22/[$LATEST]0123" {
		t.Errorf("worker %q: want the log stream", got)
	}
	parked, _, err := client.Parked(t.Context(), 10, "")
	if err != nil || len(parked) != 1 || parked[0].Queue != "default" {
		t.Errorf("parked %+v, error %v: want one of the queue", parked, err)
	}
	failed := execute.invoke(`{"kind":"test.double"}`)
	if !failed.failed || !strings.Contains(failed.body, `the function \"execute\" got JSON of another form`) {
		t.Errorf("got %+v, want failed.failed && strings.Contains(failed.body, `the function \\\"execute\\\" got JSON of another form`)", failed)
	}
	wantReply(t, execute.invoke(sqsEvent(t, queueARN, `{"id":"`+id+`"}`)), `{"batchItemFailures":[]}`) // it goes on after an error
	for _, p := range []*process{submit, execute} {
		if took := p.terminate(); took > 5*time.Second { // of which Lambda gives a tenth, but to a machine that is less busy
			t.Errorf("took %v to end, idle", took)
		}
	}
}

// A job that runs when SIGTERM comes goes back to its queue.
func TestSIGTERMHandsBack(t *testing.T) {
	w := newWorld(t)
	client := w.open()
	r, err := client.Submit(t.Context(), "test.wait", 0)
	if err != nil {
		t.Fatal(err)
	}
	p := w.start("execute")
	p.begin(sqsEvent(t, queueARN, `{"id":"`+r.ID+`"}`), 15*time.Minute)
	for deadline := time.Now().Add(patience); ; {
		i, err := client.Get(t.Context(), r.ID)
		if err != nil {
			t.Fatal(err)
		}
		if i.State == store.Running {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("job is %s", i.State)
		}
		<-time.After(5 * time.Millisecond)
	}
	took := p.terminate()
	i, err := client.Get(t.Context(), r.ID)
	if err != nil || i.State != store.Queued || i.Attempt != 0 {
		t.Errorf("job is %s, attempts used %d, after %v, error %v", i.State, i.Attempt, took, err)
	}
}

// What is wrong with the environment is the error of the function's initialization.
func TestMisconfigurationFailsTheInitialization(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ function, more, says string }{
		{"excute", "", `PIECEWORK_FUNCTION="excute": unknown function "excute"; did you mean "execute"?`},
		{"worker", "", `known are submit, execute, sweep, api`},
		{"", "", "PIECEWORK_FUNCTION is not set"},
		{"excute", "PIECEWORK_STORE=sqlite:///dev/null/x.db", "did you mean"}, // and not after all has been opened
		{"", "PIECEWORK_FUNCTIONS=execute", `did you mean "PIECEWORK_FUNCTION"?`},
		{"execute", "PIECEWORK_FUNCTION_TIMEOUT=10s", `PIECEWORK_FUNCTION_TIMEOUT="10s" leaves jobs no time: none is started in the last 10s before it, which is twice PIECEWORK_MARGIN`},
		{"execute", "PIECEWORK_FUNCTION_TIMEOUT=900", `PIECEWORK_FUNCTION_TIMEOUT="900": want a duration such as`},
		{"execute", "PIECEWORK_MARGIN=5", `PIECEWORK_MARGIN="5": want a duration`},
		{"api", "PIECEWORK_TOKENS=operator:short,PIECEWORK_STORE=sqlite:///dev/null/x.db", "has 5 characters"}, // likewise
		{"api", "PIECEWORK_STREAM=maybe", `PIECEWORK_STREAM="maybe": want true or false`},
		{"api", "PIECEWORK_TOKENS=boss:0123456789abcdef0123", `unknown role "boss"`},
		{"execute", "PIECEWORK_STORE=sqlte:///x", "sqlte"},
		{"execute", "PIECEWORK_CONCURRENCY=0", "a number from 1"},
	} {
		t.Run(c.function+c.more, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			p := w.start(c.function, strings.Split(c.more, ",")...)
			told := await(t, p.initFail, "the error of the initialization")
			var e struct {
				ErrorMessage string `json:"errorMessage"`
				ErrorType    string `json:"errorType"`
			}
			if err := json.Unmarshal([]byte(told.body), &e); err != nil || !strings.Contains(e.ErrorMessage, c.says) || e.ErrorType != "Piecework.Init" {
				t.Errorf("told %s, want %s", told.body, c.says)
			}
			err := await(t, p.done, "the end of the process")
			p.done <- nil
			if err == nil || err.Error() != "exit status 2" || !strings.Contains(p.errs.String(), c.says) {
				t.Errorf(`got %v: %s, want err != nil && err.Error() == "exit status 2" && strings.Contains(p.errs.String(), c.says)`, err, p.errs)
			}
		})
	}
}

// request is an event of a function URL.
func request(method, path, headers, context, body string) string {
	return fmt.Sprintf(`{"version":"2.0","rawPath":%q,"rawQueryString":"","headers":{"host":"id.lambda-url.eu-central-1.on.aws","content-type":"application/json"%s},
		"requestContext":{"stage":"$default","domainName":"id.lambda-url.eu-central-1.on.aws","http":{"method":%q,"path":%q,"protocol":"HTTP/1.1","sourceIp":"203.0.113.9"}%s},"body":%q}`,
		path, headers, method, path, context, body)
}

const byIAM = `,"authorizer":{"iam":{"accessKey":"AKIA","accountId":"1","callerId":"A","userArn":"arn:aws:iam::1:user/ann","userId":"A"}}`

func TestWhoMayUseTheAPI(t *testing.T) {
	const token = "operator-0123456789"
	const submit = `{"kind":"test.double","args":1}`
	bearer := func(token string) string { return `,"authorization":"Bearer ` + token + `"` }
	w := newWorld(t)
	closed, open := w.start("api", "PIECEWORK_TOKENS=operator:"+token, "PIECEWORK_ORIGINS=https://console.example.com"), w.start("api")
	for _, c := range []struct {
		p                *process
		headers, context string
		want             string
	}{
		{closed, bearer(token), "", `"statusCode":201`},
		{closed, bearer(token + "x"), "", `"statusCode":401`},
		{closed, bearer(token + "x"), byIAM, `"statusCode":401`},
		{closed, "", "", `"statusCode":401`},
		{closed, "", byIAM, `"statusCode":201`},
		{open, "", "", `"statusCode":403`},
		{open, bearer(token), "", `"statusCode":401`},
		{open, `,"authorization":"AWS4-HMAC-SHA256 Credential=x"`, byIAM, `"statusCode":201`},
		{open, "", `,"authorizer":{"jwt":{"claims":{}}}`, `"statusCode":403`},
	} {
		wantReply(t, c.p.invoke(request("POST", "/v1/jobs", c.headers, c.context, submit)), c.want)
	}
	page := request("OPTIONS", "/v1/jobs", `,"origin":"https://console.example.com","access-control-request-method":"POST"`, "", "")
	wantReply(t, closed.invoke(page), `"statusCode":204`, "https://console.example.com")
	wantReply(t, open.invoke(request("GET", "/v1/jobs", "", "", "")), "set the function URL's type to AWS_IAM", "PIECEWORK_TOKENS")
	wantReply(t, open.invoke(request("GET", "/v1/health", "", "", "")), `"statusCode":200`)
}

func TestTheAPIStreams(t *testing.T) {
	w := newWorld(t)
	p := w.start("api", "PIECEWORK_STREAM=true")
	r := p.invoke(request("GET", "/openapi.json", "", "", ""))
	prelude, body, ok := strings.Cut(r.body, strings.Repeat("\x00", 8))
	if r.failed || !ok || r.contentType != "application/vnd.awslambda.http-integration-response" || !strings.Contains(prelude, `"statusCode":200`) || !json.Valid([]byte(body)) {
		t.Errorf("content type %s, body %.300q; want an integration response with status 200 and JSON", r.contentType, r.body)
	}
}
