package templates

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// The composite indexes and the fields without one are those that init prints.
func TestFirestoreIsWhatInitCreates(t *testing.T) {
	w := apply(t, "gcp", targets(t)["gcp"]...)
	env := environment(t, w)
	printed := runProgram(t, "gcp", env, "init", "--print")
	var want struct {
		Indexes []struct {
			CollectionGroup, QueryScope string
			Fields                      []struct{ FieldPath, Order string }
		}
		FieldOverrides []struct {
			CollectionGroup, FieldPath string
			TTL                        bool
			Indexes                    []any
		}
	}
	decode(t, printed, &want)
	var wanted, got []string
	for _, i := range want.Indexes {
		line := i.CollectionGroup + " " + i.QueryScope
		for _, f := range i.Fields {
			line += " " + f.FieldPath + " " + f.Order
		}
		wanted = append(wanted, line)
	}
	for _, f := range want.FieldOverrides {
		wanted = append(wanted, jsonText(t, []any{f.CollectionGroup, f.FieldPath, f.TTL, len(f.Indexes)}))
	}
	for _, v := range w.Resources["google_firestore_index"] {
		line := text(v["collection"]) + " " + text(v["query_scope"])
		for _, f := range list(v["fields"]) {
			line += " " + text(f.(map[string]any)["field_path"]) + " " + text(f.(map[string]any)["order"])
		}
		got = append(got, line)
	}
	for _, v := range w.Resources["google_firestore_field"] {
		if len(list(v["index_config"])) != 1 {
			t.Errorf("field %v keeps the indexes that Firestore makes", v["field"])
		}
		got = append(got, jsonText(t, []any{v["collection"], v["field"], len(list(v["ttl_config"])) == 1, len(list(first(v["index_config"])["indexes"]))}))
	}
	slices.Sort(wanted)
	slices.Sort(got)
	if !slices.Equal(got, wanted) {
		t.Errorf("the template makes\n%s\ninit\n%s", strings.Join(got, "\n"), strings.Join(wanted, "\n"))
	}
}

func jsonText(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// environment is the output of that name, which must say the same as the output for shells.
func environment(t *testing.T, w *world) map[string]string {
	t.Helper()
	env := map[string]string{}
	for name, value := range w.Outputs["environment"].(map[string]any) {
		env[name] = text(value)
	}
	if shell := exported(text(w.Outputs["exports"])); !maps.Equal(shell, env) {
		t.Errorf("the outputs differ: %v, %v", shell, env)
	}
	return env
}

// containerEnv is what a container is told; what comes from a secret has the text "secret".
func containerEnv(container values) map[string]string {
	env := map[string]string{}
	for _, e := range list(container["env"]) {
		v := e.(map[string]any)
		env[text(v["name"])] = text(v["value"])
		if text(v["value"]) == "" {
			env[text(v["name"])] = "secret"
		}
	}
	return env
}

// checkQueues wants each of queues by the name that the template of URLs gives it.
func checkQueues(t *testing.T, w *world, env map[string]string, typ string, queues ...string) {
	t.Helper()
	var got []string
	for _, v := range w.Resources[typ] {
		got = append(got, text(v["name"]))
	}
	path, _, _ := strings.Cut(env["PIECEWORK_QUEUES"], "?")
	for _, queue := range queues {
		want := strings.ReplaceAll(path[strings.LastIndex(path, "/")+1:], "{queue}", queue)
		if !slices.Contains(got, want) {
			t.Errorf("queue %s is %s by PIECEWORK_QUEUES, but the %s are %v", queue, want, typ, got)
		}
	}
}

func TestPushesReachTheService(t *testing.T) {
	w := apply(t, "gcp", append(targets(t)["gcp"], `queues=["default","reports"]`, "api_tokens_secret=tokens")...)
	env := environment(t, w)
	checkQueues(t, w, env, "google_pubsub_topic", "default", "reports", "submit", "probe")
	checkQueues(t, w, env, "google_pubsub_subscription", "default", "reports", "submit", "probe")
	service := w.get(t, "google_cloud_run_v2_service.piecework")
	container := first(first(service["template"])["containers"])
	told := containerEnv(container)
	if told["PIECEWORK_TOKENS"] != "secret" {
		t.Errorf("the API's tokens are not from a secret: %q", told["PIECEWORK_TOKENS"])
	}
	runProgram(t, "gcp", told, "init", "--print")
	// Cloud Run checks who calls, and takes the signature off the token: the program could not check it again.
	if _, set := told["PIECEWORK_PUSH_ACCOUNTS"]; set {
		t.Errorf("the program is told to check tokens that have no signature any more: %v", told)
	}
	accounts := map[string]bool{}
	for _, name := range []string{"push", "sweep"} {
		account := w.get(t, `google_service_account.caller["`+name+`"]`)
		invoker := w.get(t, `google_cloud_run_v2_service_iam_member.caller["`+name+`"]`)
		accounts[text(account["email"])] = invoker["member"] == account["member"] && text(invoker["role"]) == "roles/run.invoker"
	}
	uri := text(service["uri"])
	check := func(who, url, path string, token values) {
		t.Helper()
		if url != uri+path || !accounts[text(token["service_account_email"])] || !slices.Contains(list(service["custom_audiences"]), token["audience"]) {
			t.Errorf("%s calls %s as %v: the service is at %s, for %v, and lets in %v", who, url, token, uri, service["custom_audiences"], accounts)
		}
	}
	for queue, path := range map[string]string{"default": "/push/execute", "reports": "/push/execute", "submit": "/push/submit"} {
		s := w.get(t, `google_pubsub_subscription.queue["`+queue+`"]`)
		push := first(s["push_config"])
		check(queue, text(push["push_endpoint"]), path, first(push["oidc_token"]))
		checkDead(t, w, queue, s)
		if s["ack_deadline_seconds"] != 600.0 || text(first(s["expiration_policy"])["ttl"]) != "" || text(first(s["retry_policy"])["minimum_backoff"]) == "" {
			t.Errorf("subscription of %s: %v", queue, s)
		}
	}
	sweep := first(w.get(t, "google_cloud_scheduler_job.sweep")["http_target"])
	check("the scheduler", text(sweep["uri"]), "/sweep", first(sweep["oidc_token"]))
	if got := len(w.Resources["google_cloud_run_v2_worker_pool"]); got != 0 {
		t.Errorf("%d worker pools in mode push", got)
	}
	if path := text(first(first(container["startup_probe"])["http_get"])["path"]); path != "/healthz" {
		t.Errorf("the probe asks for %s", path)
	}
}

// checkDead wants dead letters, who may move them there, and an alert on them.
func checkDead(t *testing.T, w *world, queue string, subscription values) {
	t.Helper()
	dead := w.get(t, `google_pubsub_subscription.dead["`+queue+`"]`)
	policy := first(subscription["dead_letter_policy"])
	if policy["dead_letter_topic"] != dead["topic"] || text(dead["topic"]) == "" {
		t.Errorf("dead letters of %s go to %v, and are read from %v", queue, policy["dead_letter_topic"], dead["topic"])
	}
	agent := "serviceAccount:service-123456789@gcp-sa-pubsub.iam.gserviceaccount.com"
	if got := text(w.get(t, `google_pubsub_topic_iam_member.dead["`+queue+`"]`)["member"]); got != agent {
		t.Errorf("dead letters of %s are published by %s", queue, got)
	}
	if got := text(w.get(t, `google_pubsub_subscription_iam_member.dead["`+queue+`"]`)["member"]); got != agent {
		t.Errorf("messages of %s are given up by %s", queue, got)
	}
	if want := map[bool]float64{true: 100, false: 20}[queue == "submit"]; policy["max_delivery_attempts"] != want { // 100 is the most
		t.Errorf("messages of %s are given up after %v attempts, want %v", queue, policy["max_delivery_attempts"], want)
	}
	policyOf := w.get(t, `google_monitoring_alert_policy.dead["`+queue+`"]`)
	checkAdvice(t, queue, text(first(policyOf["documentation"])["content"]))
	alert := text(first(first(policyOf["conditions"])["condition_threshold"])["filter"])
	if !strings.Contains(alert, `"`+text(dead["name"])+`"`) || !strings.Contains(alert, "num_undelivered_messages") {
		t.Errorf("the alert on the dead letters of %s asks for %s", queue, alert)
	}
}

// checkAdvice wants an alarm on dead letters to tell a hint, which sweep sends again, from a submission, which it does not.
func checkAdvice(t *testing.T, queue, advice string) {
	t.Helper()
	if lost := strings.Contains(advice, "have made no jobs"); lost != (queue == "submit") || strings.Contains(advice, "No job is lost") == lost {
		t.Errorf("dead letters of %s: %s", queue, advice)
	}
}

// What the program may do: nothing on the project but its database, and no role that owns or edits.
func TestRolesOfGoogle(t *testing.T) {
	w := apply(t, "gcp", append(targets(t)["gcp"], "mode=pull")...)
	var got []string
	for typ, members := range w.Resources {
		for _, v := range members {
			if role, ok := v["role"]; ok && strings.Contains(typ, "_iam_") {
				got = append(got, typ+" "+text(role))
			}
		}
	}
	slices.Sort(got)
	want := []string{
		"google_cloud_run_v2_service_iam_member roles/run.invoker",
		"google_project_iam_member roles/datastore.user",
		"google_pubsub_subscription_iam_member roles/pubsub.subscriber",
		"google_pubsub_topic_iam_member roles/pubsub.publisher",
		"google_service_account_iam_member roles/iam.serviceAccountTokenCreator",
		"google_storage_bucket_iam_member roles/storage.objectUser",
	}
	if got = slices.Compact(got); !slices.Equal(got, want) {
		t.Errorf("roles:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if c := text(first(w.get(t, "google_project_iam_member.records")["condition"])["expression"]); !strings.Contains(c, "google_firestore_database/piecework/id") {
		t.Errorf("the role on the project is limited by %q", c)
	}
	if invokers := len(w.Resources["google_cloud_run_v2_service_iam_member"]); invokers != 2 {
		t.Errorf("%d may call the service, want Pub/Sub and the scheduler", invokers)
	}
}

func TestWorkersPull(t *testing.T) {
	w := apply(t, "gcp", append(targets(t)["gcp"], "mode=pull", "workers=3", "concurrency=7")...)
	pool := w.get(t, "google_cloud_run_v2_worker_pool.worker[0]")
	container := first(first(pool["template"])["containers"])
	if args := list(container["args"]); !reflect.DeepEqual(args, []any{"worker"}) || first(pool["scaling"])["manual_instance_count"] != 3.0 {
		t.Errorf("the pool runs %v, %v", args, pool["scaling"])
	}
	env := containerEnv(container)
	if env["PIECEWORK_CONCURRENCY"] != "7" || env["PIECEWORK_SUBMIT"] != "true" {
		t.Errorf("workers are told %v", env)
	}
	runProgram(t, "gcp", env, "init", "--print")
	for queue := range map[string]bool{"default": true, "submit": true} {
		s := w.get(t, `google_pubsub_subscription.queue["`+queue+`"]`)
		if push := list(s["push_config"]); len(push) != 0 {
			t.Errorf("%s is pushed: %v", queue, push)
		}
		checkDead(t, w, queue, s)
	}
}
