package templates

import (
	"maps"
	"testing"
)

// expand makes of a function of SAM what SAM's transform makes of it: resources of CloudFormation. What it does not know
// it hands on, so that the schema refuses it. The schemas that are published for SAM itself lag behind it by years.
func expand(t *testing.T, globals, function map[string]any) map[string]any {
	t.Helper()
	type object = map[string]any
	out := object{}
	p := maps.Clone(function)
	take := func(name string) object {
		v, _ := p[name].(object)
		delete(p, name)
		return maps.Clone(v)
	}
	if url := take("FunctionUrlConfig"); url != nil {
		url["TargetFunctionArn"] = "function"
		out["Url"] = object{"Type": "AWS::Lambda::Url", "Properties": url}
	}
	if invoke := take("EventInvokeConfig"); invoke != nil {
		invoke["FunctionName"], invoke["Qualifier"] = "function", "$LATEST"
		out["Invoke"] = object{"Type": "AWS::Lambda::EventInvokeConfig", "Properties": invoke}
	}
	for id, e := range take("Events") {
		event := e.(object)
		properties := maps.Clone(event["Properties"].(object))
		switch event["Type"] {
		case "SQS":
			properties["EventSourceArn"], properties["FunctionName"] = properties["Queue"], "function"
			delete(properties, "Queue")
			out[id] = object{"Type": "AWS::Lambda::EventSourceMapping", "Properties": properties}
		case "ScheduleV2":
			target := object{"Arn": "function", "RoleArn": "role", "RetryPolicy": properties["RetryPolicy"]}
			delete(properties, "RetryPolicy")
			properties["Target"], properties["FlexibleTimeWindow"] = target, object{"Mode": "OFF"}
			out[id] = object{"Type": "AWS::Scheduler::Schedule", "Properties": properties}
		default:
			t.Errorf("event %s is of the type %v, which this test does not know", id, event["Type"])
		}
	}
	for name, v := range globals {
		own, isObject := p[name].(object)
		common, both := v.(object)
		switch {
		case name == "CodeUri":
			p["Code"] = object{"S3Bucket": "bucket", "S3Key": "key"}
		case isObject && both:
			merged := maps.Clone(common)
			maps.Copy(merged, own)
			p[name] = merged
		case p[name] == nil:
			p[name] = v
		}
	}
	out["Function"] = object{"Type": "AWS::Lambda::Function", "Properties": p}
	return out
}
