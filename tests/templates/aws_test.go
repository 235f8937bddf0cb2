package templates

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// deployment is what a template of AWS makes, in one form for Terraform and SAM.
type deployment struct {
	table     any // as create-table has it
	queues    map[string]queue
	functions map[string]function
	alarms    map[string][]string // name of what is watched: the metrics
	advice    map[string]string   // what an alarm on a metric of that says, by both
	outputs   string
}

type queue struct {
	visibility, wait float64
	dead             string // the name of its dead-letter queue
}

type function struct {
	env        map[string]string
	timeout    float64
	runtime    string
	handler    string
	statements []statement
	source     string // the queue that feeds it
	partial    []string
	atMost     float64 // invocations at once
	retention  float64 // days of its log
}

type statement struct {
	Sid, Effect string
	Action      []string
	Resource    []string
}

func fromTerraform(t *testing.T, variables ...string) *deployment {
	t.Helper()
	w := apply(t, "aws", append(targets(t)["aws"], variables...)...)
	d := &deployment{queues: map[string]queue{}, functions: map[string]function{}, alarms: map[string][]string{}, advice: map[string]string{}}
	d.table = tableOf(w.Resources["aws_dynamodb_table"][0])
	for _, v := range w.Resources["aws_sqs_queue"] {
		q := queue{}
		q.visibility, _ = v["visibility_timeout_seconds"].(float64)
		q.wait, _ = v["receive_wait_time_seconds"].(float64)
		var redrive struct{ DeadLetterTargetArn string }
		if p := text(v["redrive_policy"]); p != "" {
			decode(t, p, &redrive)
		}
		q.dead = nameIn(redrive.DeadLetterTargetArn)
		d.queues[text(v["name"])] = q
	}
	retention := map[string]float64{}
	for _, v := range w.Resources["aws_cloudwatch_log_group"] {
		retention[text(v["name"])], _ = v["retention_in_days"].(float64)
	}
	for _, v := range w.Resources["aws_lambda_function"] {
		f := function{env: map[string]string{}, runtime: text(v["runtime"]), handler: text(v["handler"])}
		f.timeout, _ = v["timeout"].(float64)
		for name, value := range first(v["environment"])["variables"].(map[string]any) {
			f.env[name] = text(value)
		}
		f.retention = retention[text(first(v["logging_config"])["log_group"])]
		name := text(v["function_name"])
		var policy struct{ Statement []statement }
		decode(t, text(w.get(t, `aws_iam_role_policy.function["`+strings.TrimPrefix(name, "piecework-")+`"]`)["policy"]), &policy)
		f.statements = policy.Statement
		for _, m := range w.Resources["aws_lambda_event_source_mapping"] {
			if nameIn(text(m["function_name"])) == name {
				f.source = nameIn(text(m["event_source_arn"]))
				for _, p := range list(m["function_response_types"]) {
					f.partial = append(f.partial, text(p))
				}
				f.atMost, _ = first(m["scaling_config"])["maximum_concurrency"].(float64)
			}
		}
		d.functions[name] = f
	}
	for _, v := range w.Resources["aws_cloudwatch_metric_alarm"] {
		for _, watched := range v["dimensions"].(map[string]any) {
			d.alarms[text(watched)] = append(d.alarms[text(watched)], text(v["metric_name"]))
			d.advice[text(watched)+" "+text(v["metric_name"])] = text(v["alarm_description"])
		}
	}
	d.outputs = text(w.Outputs["exports"])
	return d
}

// tableOf is a table as create-table has it.
func tableOf(v values) any {
	type pair = map[string]any
	key := func(hash, ranged any) []any {
		out := []any{pair{"AttributeName": hash, "KeyType": "HASH"}}
		if text(ranged) != "" {
			out = append(out, pair{"AttributeName": ranged, "KeyType": "RANGE"})
		}
		return out
	}
	var attributes, indexes []any
	for _, a := range list(v["attribute"]) {
		attributes = append(attributes, pair{"AttributeName": a.(pair)["name"], "AttributeType": a.(pair)["type"]})
	}
	for _, i := range list(v["global_secondary_index"]) {
		g := i.(pair)
		indexes = append(indexes, pair{
			"IndexName": g["name"], "KeySchema": key(g["hash_key"], g["range_key"]), "Projection": pair{"ProjectionType": g["projection_type"]},
		})
	}
	return pair{
		"TableName": v["name"], "BillingMode": v["billing_mode"], "KeySchema": key(v["hash_key"], v["range_key"]),
		"AttributeDefinitions": attributes, "GlobalSecondaryIndexes": indexes,
		"expires": first(v["ttl"])["attribute_name"], "backups": first(v["point_in_time_recovery"])["enabled"],
		"protected": v["deletion_protection_enabled"],
	}
}

// nameIn is the name in an ARN as the provider of the tests makes it up, TYPE/NAME/arn.
func nameIn(arn string) string {
	if parts := strings.Split(arn, "/"); len(parts) > 1 {
		return parts[1]
	}
	return arn
}

func decode(t *testing.T, from string, to any) {
	t.Helper()
	if err := json.Unmarshal([]byte(from), to); err != nil {
		t.Fatalf("%v in %s", err, from)
	}
}

// both are the two templates of AWS.
func both(t *testing.T) map[string]*deployment {
	t.Helper()
	return map[string]*deployment{"Terraform": fromTerraform(t), "SAM": fromSAM(t)}
}

func TestTableIsWhatInitCreates(t *testing.T) {
	printed := runProgram(t, "aws", map[string]string{
		"PIECEWORK_STORE": "dynamodb://piecework?region=eu-central-1&ttl=true", "PIECEWORK_QUEUES": "awssqs://sqs.eu-central-1.amazonaws.com/1/p-{queue}",
		"PIECEWORK_BLOBS": "s3://b?region=eu-central-1",
	}, "init", "--print")
	_, rest, _ := strings.Cut(printed, "'")
	table, rest, _ := strings.Cut(rest, "'")
	var want map[string]any
	decode(t, table, &want)
	_, expires, ok := strings.Cut(rest, "AttributeName=")
	if !ok {
		t.Fatalf("init --print does not turn expiry on: %s", rest)
	}
	want["expires"], want["backups"], want["protected"] = strings.TrimSpace(expires), true, true
	for name, d := range both(t) {
		if got := sorted(d.table); !reflect.DeepEqual(got, sorted(want)) {
			t.Errorf("%s makes another table than init:\n%v\nwant\n%v", name, got, sorted(want))
		}
	}
}

// sorted sorts the lists whose order means nothing: not those of keys.
func sorted(v any) any {
	var m map[string]any
	if data, err := json.Marshal(v); err != nil || json.Unmarshal(data, &m) != nil {
		return v
	}
	for _, name := range []string{"AttributeDefinitions", "GlobalSecondaryIndexes"} {
		slices.SortFunc(list(m[name]), func(a, b any) int {
			x, _ := json.Marshal(a)
			y, _ := json.Marshal(b)
			return bytes.Compare(x, y)
		})
	}
	return m
}

// What the functions ask of AWS, which tests/servers records.
func TestRightsAreThoseThatFunctionsUse(t *testing.T) {
	data, err := os.ReadFile("testdata/rights.json")
	if err != nil {
		t.Fatal(err)
	}
	rights := map[string][]string{}
	decode(t, string(data), &rights)
	for which, d := range both(t) {
		for name, f := range d.functions {
			want := slices.Clone(rights[f.env["PIECEWORK_FUNCTION"]])
			want = append(want, "logs:CreateLogStream", "logs:PutLogEvents")
			if f.source != "" { // for the service that polls
				want = append(want, "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage")
			}
			var got []string
			for _, s := range f.statements {
				got = append(got, s.Action...)
				checkResources(t, which+" "+name, s)
			}
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("%s: rights of %s:\n%v\nwant\n%v", which, name, got, want)
			}
		}
	}
}

// checkResources refuses rights on more than one's own.
func checkResources(t *testing.T, who string, s statement) {
	t.Helper()
	if s.Effect != "Allow" || len(s.Resource) == 0 {
		t.Errorf("%s: statement %s is %s on %v", who, s.Sid, s.Effect, s.Resource)
	}
	for _, r := range s.Resource {
		plain := r
		for _, suffix := range []string{"/index/*", "/jobs/*", ":*"} {
			plain = strings.TrimSuffix(plain, suffix)
		}
		if strings.Contains(plain, "*") || !strings.Contains(plain, "piecework") || strings.Contains(r, "/*") && !strings.Contains(r, "/index/*") && !strings.Contains(r, "/jobs/*") {
			t.Errorf("%s: statement %s is about %s, which is more than its own", who, s.Sid, r)
		}
	}
	for _, a := range s.Action {
		if strings.Contains(a, "*") {
			t.Errorf("%s: statement %s allows %s", who, s.Sid, a)
		}
	}
}

// A queue has six times its function's timeout, dead letters, and alarms on them and on its age.
func TestQueuesFitTheirFunctions(t *testing.T) {
	for which, d := range both(t) {
		for name, f := range d.functions {
			queue, fed := strings.CutPrefix(f.source, "piecework-")
			if kind := f.env["PIECEWORK_FUNCTION"]; (kind == "execute" || kind == "submit") != fed {
				t.Errorf("%s: %s is fed by %q", which, name, f.source)
			}
			if !fed {
				continue
			}
			q := d.queues[f.source]
			if q.visibility < 6*f.timeout || q.wait != 20 {
				t.Errorf("%s: queue %s hides for %v s and waits %v s, its function takes up to %v s", which, f.source, q.visibility, q.wait, f.timeout)
			}
			if _, ok := d.queues[q.dead]; !ok || q.dead == f.source {
				t.Errorf("%s: queue %s has the dead letters %q", which, f.source, q.dead)
			}
			if !slices.Contains(d.alarms[q.dead], "ApproximateNumberOfMessagesVisible") || !slices.Contains(d.alarms[f.source], "ApproximateAgeOfOldestMessage") {
				t.Errorf("%s: alarms on %s: %v, on %s: %v", which, q.dead, d.alarms[q.dead], f.source, d.alarms[f.source])
			}
			checkAdvice(t, queue, d.advice[q.dead+" ApproximateNumberOfMessagesVisible"])
			if !slices.Equal(f.partial, []string{"ReportBatchItemFailures"}) || f.atMost < 2 {
				t.Errorf("%s: %s reports %v and runs up to %v", which, name, f.partial, f.atMost)
			}
			if want := strings.ReplaceAll(f.env["PIECEWORK_QUEUES"], "{queue}", queue); !strings.HasSuffix(strings.Split(want, "?")[0], "/"+f.source) {
				t.Errorf("%s: queue %s is %s by PIECEWORK_QUEUES, and not %s", which, queue, want, f.source)
			}
		}
		if !slices.Contains(d.alarms["piecework-sweep"], "Errors") {
			t.Errorf("%s: no alarm on the sweep: %v", which, d.alarms)
		}
	}
}

// The programs accept what the templates tell them, the doctor too.
func TestFunctionsKnowTheirVariables(t *testing.T) {
	for which, d := range both(t) {
		for name, f := range d.functions {
			runProgram(t, "aws", f.env, "init", "--print")
			if f.runtime != "provided.al2023" || f.handler != "bootstrap" || f.retention != 30 {
				t.Errorf("%s: %s runs %s on %s and keeps its log %v days", which, name, f.handler, f.runtime, f.retention)
			}
		}
		env := exported(d.outputs)
		runProgram(t, "aws", env, "init", "--print")
		for _, name := range []string{"STORE", "QUEUES", "BLOBS"} {
			if got, want := env["PIECEWORK_"+name], d.functions["piecework-execute-default"].env["PIECEWORK_"+name]; got != want || got == "" {
				t.Errorf("%s: the doctor gets PIECEWORK_%s=%q, the functions %q", which, name, got, want)
			}
		}
		probe := "piecework-" + env["PIECEWORK_PROBE_QUEUE"]
		if _, ok := d.queues[probe]; !ok {
			t.Errorf("%s: there is no queue %s", which, probe)
		}
	}
}

func TestSAMIsTheSameAsTerraform(t *testing.T) {
	d := both(t)
	sam, tf := d["SAM"], d["Terraform"]
	if !reflect.DeepEqual(sam.queues, tf.queues) {
		t.Errorf("queues differ:\n%v\n%v", sam.queues, tf.queues)
	}
	if a, b := slices.Sorted(maps.Keys(sam.alarms)), slices.Sorted(maps.Keys(tf.alarms)); !slices.Equal(a, b) {
		t.Errorf("alarms differ:\n%v\n%v", a, b)
	}
	for name, want := range tf.functions {
		got := sam.functions[name]
		for _, f := range []*function{&got, &want} {
			slices.SortFunc(f.statements, func(a, b statement) int { return strings.Compare(a.Sid, b.Sid) })
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("function %s differs:\n%+v\n%+v", name, got, want)
		}
	}
}

// With a key of one's own everything is encrypted with it, and the functions may use it; queues are added by a word.
func TestVariablesOfAWS(t *testing.T) {
	d := fromTerraform(t, "kms_key_arn=arn:aws:kms:eu-central-1:1:key/piecework", `queues=["default","reports"]`, "execute_timeout=600", "api_auth=NONE", "api_tokens=operator:x:0123456789abcdef")
	f := d.functions["piecework-execute-reports"]
	if f.source != "piecework-reports" || d.queues["piecework-reports"].visibility != 3600 || f.env["PIECEWORK_FUNCTION_TIMEOUT"] != "600s" {
		t.Errorf("the queue reports: %+v, %+v", f, d.queues["piecework-reports"])
	}
	for name, f := range d.functions {
		if !slices.ContainsFunc(f.statements, func(s statement) bool {
			return slices.Equal(s.Action, []string{"kms:Decrypt", "kms:GenerateDataKey"}) && slices.Equal(s.Resource, []string{"arn:aws:kms:eu-central-1:1:key/piecework"})
		}) {
			t.Errorf("%s may not use the key: %v", name, f.statements)
		}
	}
	if got := d.functions["piecework-api"].env["PIECEWORK_TOKENS"]; got != "operator:x:0123456789abcdef" {
		t.Errorf("the API has the tokens %q", got)
	}
}
