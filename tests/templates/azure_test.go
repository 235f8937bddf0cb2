package templates

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

func TestWorkersOfAzure(t *testing.T) {
	for _, c := range []struct{ store, want string }{
		{"serverless", "mongodb://piecework-"},
		{"vcore", "mongodb+srv://piecework:pass%2Fword%2Bwith%40signs@piecework-"},
	} {
		w := apply(t, "azure", append(targets(t)["azure"], "store="+c.store, "vcore_password=pass/word+with@signs", `queues=["default","a.b"]`, "api_tokens=operator:x:0123456789abcdef")...)
		env := environment(t, w)
		if !strings.HasPrefix(env["PIECEWORK_STORE"], c.want) {
			t.Errorf("%s: the store is %s, want %s...", c.store, env["PIECEWORK_STORE"], c.want)
		}
		program := maps.Clone(env)
		if c.store == "vcore" { // its name is looked up at once, so it needs a network
			program["PIECEWORK_STORE"] = "mongodb://" + strings.TrimPrefix(env["PIECEWORK_STORE"], "mongodb+srv://")
		}
		printed := runProgram(t, "azure", program, "init", "--print")
		if ru := strings.Contains(printed, "due_order"); ru != (c.store == "serverless") {
			t.Errorf("%s: init would make %s", c.store, printed)
		}
		checkQueues(t, w, env, "azurerm_servicebus_queue", "default", "a.b", "submit", "probe")
		for _, app := range []string{"azurerm_container_app.worker", "azurerm_container_app.api[0]"} {
			told := containerEnv(first(first(w.get(t, app)["template"])["container"]))
			if told["PIECEWORK_STORE"] != "secret" {
				t.Errorf("%s: the password of the store is not a secret", app)
			}
			delete(told, "PIECEWORK_STORE")
			delete(told, "PIECEWORK_TOKENS")
			program := maps.Clone(program)
			maps.Copy(program, told)
			runProgram(t, "azure", program, "init", "--print")
		}
	}
}

func TestQueuesOfAzure(t *testing.T) {
	w := apply(t, "azure", append(targets(t)["azure"], `queues=["default","reports"]`, "min_replicas=0")...)
	var scaled []string
	for _, rule := range list(first(w.get(t, "azurerm_container_app.worker")["template"])["custom_scale_rule"]) {
		r := rule.(map[string]any)
		metadata := r["metadata"].(map[string]any)
		if r["custom_rule_type"] == "azure-servicebus" {
			scaled = append(scaled, text(metadata["queueName"]))
			if text(r["identity_id"]) == "" || text(metadata["namespace"]) != text(w.get(t, "azurerm_servicebus_namespace.this")["name"]) {
				t.Errorf("scale rule: %v", r)
			}
		} else if r["custom_rule_type"] != "cron" || metadata["desiredReplicas"] != "1" {
			t.Errorf("scale rule: %v", r)
		}
	}
	slices.Sort(scaled)
	if want := []string{"piecework-default", "piecework-reports", "piecework-submit"}; !slices.Equal(scaled, want) {
		t.Errorf("workers are scaled by %v, want %v", scaled, want)
	}
	for _, queue := range []string{"default", "reports", "submit"} {
		q := w.get(t, `azurerm_servicebus_queue.queue["`+queue+`"]`)
		if q["max_delivery_count"] != 100.0 || q["requires_duplicate_detection"] != false || q["dead_lettering_on_message_expiration"] != true {
			t.Errorf("queue %s: %v", queue, q)
		}
		alert := w.get(t, `azurerm_monitor_metric_alert.dead["`+queue+`"]`)
		checkAdvice(t, queue, text(alert["description"]))
		criteria := first(alert["criteria"])
		if text(criteria["metric_name"]) != "DeadletteredMessages" || !slices.Contains(list(first(criteria["dimension"])["values"]), q["name"]) {
			t.Errorf("the alert on the dead letters of %s: %v", queue, criteria)
		}
	}
}

// One role on one thing, none on the group or the subscription.
func TestRolesOfAzure(t *testing.T) {
	w := apply(t, "azure", targets(t)["azure"]...)
	var got []string
	for _, v := range w.Resources["azurerm_role_assignment"] {
		kind, _, _ := strings.Cut(text(v["scope"]), "/")
		got = append(got, kind+": "+text(v["role_definition_name"]))
	}
	slices.Sort(got)
	want := []string{
		"azurerm_container_registry: AcrPull",
		"azurerm_servicebus_queue: Azure Service Bus Data Receiver", "azurerm_servicebus_queue: Azure Service Bus Data Receiver",
		"azurerm_servicebus_queue: Azure Service Bus Data Sender",
		"azurerm_storage_container: Storage Blob Data Contributor",
	}
	if !slices.Equal(got, want) {
		t.Errorf("roles:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
