package templates

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/awslabs/goformation/v7/schema"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"
)

// sam is a template with its functions resolved, for the defaults of its parameters.
type sam struct {
	t        *testing.T
	template map[string]any
	names    map[string]string // of resources
	pseudo   map[string]string
}

// names are the properties that name a resource of a type, and what Terraform calls the type.
var names = map[string][2]string{
	"AWS::DynamoDB::Table": {"TableName", "aws_dynamodb_table"}, "AWS::S3::Bucket": {"BucketName", "aws_s3_bucket"},
	"AWS::SQS::Queue": {"QueueName", "aws_sqs_queue"}, "AWS::Serverless::Function": {"FunctionName", "aws_lambda_function"},
	"AWS::Logs::LogGroup": {"LogGroupName", "aws_cloudwatch_log_group"}, "AWS::IAM::Role": {"RoleName", "aws_iam_role"},
}

// openSAM reads and resolves the template.
func openSAM(t *testing.T) *sam {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(infra, "aws", "template.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	s := &sam{t: t, names: map[string]string{}, pseudo: map[string]string{
		"AWS::Region": "eu-central-1", "AWS::AccountId": "123456789012", "AWS::URLSuffix": "amazonaws.com", "AWS::Partition": "aws",
	}}
	s.template = plain(t, doc.Content[0]).(map[string]any)
	for id, r := range s.section("Resources") {
		resource := r.(map[string]any)
		if of, ok := names[text(resource["Type"])]; ok {
			properties, _ := resource["Properties"].(map[string]any)
			s.names[id] = text(s.resolve(properties[of[0]]))
		}
	}
	s.template = s.resolve(s.template).(map[string]any)
	return s
}

func (s *sam) section(name string) map[string]any { return s.template[name].(map[string]any) }

// plain turns tags into the long form: !Ref x into {"Ref": x}.
func plain(t *testing.T, n *yaml.Node) any {
	t.Helper()
	var v any
	switch n.Kind {
	case yaml.MappingNode:
		m := map[string]any{}
		for i := 0; i < len(n.Content); i += 2 {
			if _, twice := m[n.Content[i].Value]; twice {
				t.Errorf("line %d: %s occurs twice", n.Content[i].Line, n.Content[i].Value)
			}
			m[n.Content[i].Value] = plain(t, n.Content[i+1])
		}
		v = m
	case yaml.SequenceNode:
		l := []any{}
		for _, c := range n.Content {
			l = append(l, plain(t, c))
		}
		v = l
	default:
		if strings.HasPrefix(n.Tag, "!!") {
			if err := n.Decode(&v); err != nil {
				t.Fatal(err)
			}
		} else {
			v = n.Value
		}
	}
	if tag := n.Tag; strings.HasPrefix(tag, "!") && !strings.HasPrefix(tag, "!!") {
		if name := tag[1:]; name == "Ref" {
			return map[string]any{name: v}
		}
		return map[string]any{"Fn::" + tag[1:]: v}
	}
	return v
}

var substitution = regexp.MustCompile(`\$\{([\w:.]+)\}`)

// resolve evaluates functions.
func (s *sam) resolve(v any) any {
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = s.resolve(e)
		}
		return out
	case map[string]any:
		if len(v) == 1 {
			for name, arg := range v {
				if name == "Ref" || strings.HasPrefix(name, "Fn::") {
					return s.call(name, arg)
				}
			}
		}
		out := map[string]any{}
		for name, e := range v {
			out[name] = s.resolve(e)
		}
		return out
	}
	return v
}

func (s *sam) call(name string, arg any) any {
	switch name {
	case "Ref":
		return s.ref(text(arg))
	case "Fn::GetAtt":
		return s.attribute(text(arg))
	case "Fn::Sub":
		return substitution.ReplaceAllStringFunc(text(arg), func(m string) string {
			inner := m[2 : len(m)-1]
			if strings.Contains(inner, ".") {
				return s.attribute(inner)
			}
			return text(s.ref(inner))
		})
	case "Fn::If":
		condition, ok := s.section("Conditions")[text(list(arg)[0])]
		if !ok {
			s.t.Errorf("there is no condition %v", list(arg)[0])
		}
		if s.resolve(condition) == true {
			return s.resolve(list(arg)[1])
		}
		return s.resolve(list(arg)[2])
	case "Fn::Equals":
		return text(s.resolve(list(arg)[0])) == text(s.resolve(list(arg)[1]))
	case "Fn::Not":
		return s.resolve(list(arg)[0]) != true
	}
	s.t.Errorf("function %s is unknown to this test", name)
	return nil
}

func (s *sam) ref(id string) any {
	if v, ok := s.pseudo[id]; ok {
		return v
	}
	if p, ok := s.section("Parameters")[id]; ok {
		return p.(map[string]any)["Default"]
	}
	if name, ok := s.names[id]; ok {
		return name
	}
	if _, ok := s.section("Resources")[id]; !ok {
		s.t.Errorf("Ref of %s, which is nothing here", id)
	}
	return id
}

// attribute is made up as the provider of the tests does.
func (s *sam) attribute(of string) string {
	id, attribute, _ := strings.Cut(of, ".")
	if id == "ApiFunctionUrl" { // which SAM makes
		return "https://url"
	}
	r, ok := s.section("Resources")[id].(map[string]any)
	if !ok {
		s.t.Errorf("GetAtt of %s, which is no resource", id)
		return ""
	}
	if attribute == "QueueName" {
		return s.names[id]
	}
	if attribute != "Arn" {
		s.t.Errorf("GetAtt of %s: this test knows no %s", id, attribute)
	}
	return names[text(r["Type"])][1] + "/" + s.names[id] + "/arn"
}

func fromSAM(t *testing.T) *deployment {
	t.Helper()
	s := openSAM(t)
	d := &deployment{queues: map[string]queue{}, functions: map[string]function{}, alarms: map[string][]string{}, advice: map[string]string{}}
	globals := s.section("Globals")["Function"].(map[string]any)
	for id, r := range s.section("Resources") {
		p, _ := r.(map[string]any)["Properties"].(map[string]any)
		switch r.(map[string]any)["Type"] {
		case "AWS::DynamoDB::Table":
			d.table = cloudTable(p)
		case "AWS::SQS::Queue":
			redrive, _ := p["RedrivePolicy"].(map[string]any)
			d.queues[s.names[id]] = queue{number(p["VisibilityTimeout"]), number(p["ReceiveMessageWaitTimeSeconds"]), nameIn(text(redrive["deadLetterTargetArn"]))}
		case "AWS::CloudWatch::Alarm":
			for _, dim := range list(p["Dimensions"]) {
				watched := text(dim.(map[string]any)["Value"])
				d.alarms[watched] = append(d.alarms[watched], text(p["MetricName"]))
				d.advice[watched+" "+text(p["MetricName"])] = text(p["AlarmDescription"])
			}
		case "AWS::Serverless::Function":
			d.functions[s.names[id]] = s.function(globals, p)
		}
	}
	d.outputs = text(s.section("Outputs")["Exports"].(map[string]any)["Value"])
	return d
}

// function is one with what Globals gives to all.
func (s *sam) function(globals, p map[string]any) function {
	f := function{env: map[string]string{}, timeout: number(p["Timeout"]), runtime: text(globals["Runtime"]), handler: text(globals["Handler"])}
	for _, from := range []map[string]any{globals, p} {
		for name, v := range from["Environment"].(map[string]any)["Variables"].(map[string]any) {
			f.env[name] = text(v)
		}
	}
	name := text(p["FunctionName"])
	for id, r := range s.section("Resources") {
		properties, _ := r.(map[string]any)["Properties"].(map[string]any)
		if s.names[id] == text(p["LoggingConfig"].(map[string]any)["LogGroup"]) {
			f.retention = number(properties["RetentionInDays"])
		}
	}
	f.statements = s.statements(name, text(p["Role"]))
	events, _ := p["Events"].(map[string]any)
	if fed, ok := events["Queue"].(map[string]any); ok {
		q := fed["Properties"].(map[string]any)
		f.source, f.atMost = nameIn(text(q["Queue"])), number(q["ScalingConfig"].(map[string]any)["MaximumConcurrency"])
		for _, v := range list(q["FunctionResponseTypes"]) {
			f.partial = append(f.partial, text(v))
		}
	}
	return f
}

// statements are those of the role that a function's logical id belongs to.
func (s *sam) statements(name, role string) []statement {
	for id, r := range s.section("Resources") {
		if r.(map[string]any)["Type"] != "AWS::Serverless::Function" || s.names[id] != name {
			continue
		}
		own := s.section("Resources")[strings.TrimSuffix(id, "Function")+"Role"].(map[string]any)["Properties"].(map[string]any)
		if role != "aws_iam_role//arn" {
			s.t.Errorf("%s has the role %s", name, role)
		}
		data, err := json.Marshal(first(own["Policies"])["PolicyDocument"])
		if err != nil {
			s.t.Fatal(err)
		}
		var policy struct{ Statement []statement }
		decode(s.t, string(data), &policy)
		for i, st := range policy.Statement {
			if st.Sid == "Log" { // CloudFormation's ARN of a log group ends in :*
				policy.Statement[i].Resource[0] += ":*"
			}
		}
		return policy.Statement
	}
	return nil
}

// cloudTable is a table of CloudFormation as create-table has it.
func cloudTable(p map[string]any) any {
	out := maps.Clone(p)
	delete(out, "TimeToLiveSpecification")
	delete(out, "PointInTimeRecoverySpecification")
	delete(out, "DeletionProtectionEnabled")
	out["expires"] = p["TimeToLiveSpecification"].(map[string]any)["AttributeName"]
	out["backups"] = p["PointInTimeRecoverySpecification"].(map[string]any)["PointInTimeRecoveryEnabled"]
	out["protected"] = p["DeletionProtectionEnabled"]
	return out
}

func number(v any) float64 {
	switch v := v.(type) {
	case int:
		return float64(v)
	case float64:
		return v
	}
	return 0
}

// newer are properties that came after the schemas that goformation has; SAM's and CloudFormation's documentation has
// them.
var newer = []string{"InvokedViaFunctionUrl"}

func TestSAMFitsTheSchemas(t *testing.T) {
	s := openSAM(t)
	compiler := schemas(t)
	check := func(resources map[string]any) []string {
		var wrong []string
		for id, r := range resources {
			compiled, err := compiler.Compile("sam.json#/definitions/" + text(r.(map[string]any)["Type"]))
			if err != nil {
				t.Fatalf("got %s: %v, want no error", id, err)
			}
			if err := compiled.Validate(r); err != nil {
				wrong = append(wrong, fmt.Sprintf("%s: %v", id, err))
			}
		}
		return wrong
	}
	resources := s.resources(t)
	if wrong := check(resources); len(wrong) > 0 {
		t.Errorf("infra/aws/template.yaml:\n%s", strings.Join(wrong, "\n"))
	}
	// The schema must find what is wrong.
	broken := s.resources(t)
	for _, part := range []string{"DefaultFunction.Function", "DefaultFunction.Queue", "SweepFunction.EveryMinute", "SweepFunction.Invoke", "ApiFunction.Url"} {
		if _, ok := broken[part]; !ok {
			t.Errorf("there is no %s", part)
		}
	}
	properties := broken["DefaultQueue"].(map[string]any)["Properties"].(map[string]any)
	properties["VisibilityTimeOut"] = properties["VisibilityTimeout"]
	if wrong := check(broken); len(wrong) != 1 || !strings.Contains(wrong[0], "VisibilityTimeOut") {
		t.Errorf("of a misspelt property the schema says %q", wrong)
	}
}

// resources are the resolved resources as JSON has them, without what is newer than the schemas.
func (s *sam) resources(t *testing.T) map[string]any {
	t.Helper()
	data, err := json.Marshal(s.section("Resources"))
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(string(data)))
	if err != nil {
		t.Fatal(err)
	}
	resources := v.(map[string]any)
	globals, err := jsonschema.UnmarshalJSON(strings.NewReader(jsonText(t, s.section("Globals")["Function"])))
	if err != nil {
		t.Fatal(err)
	}
	for id, r := range maps.Clone(resources) {
		if function := r.(map[string]any); function["Type"] == "AWS::Serverless::Function" {
			delete(resources, id)
			for part, made := range expand(t, globals.(map[string]any), function["Properties"].(map[string]any)) {
				resources[id+"."+part] = made
			}
		}
	}
	for _, r := range resources {
		if p, ok := r.(map[string]any)["Properties"].(map[string]any); ok {
			maps.DeleteFunc(p, func(name string, _ any) bool { return slices.Contains(newer, name) })
		}
	}
	return resources
}

// schemas are those of SAM and CloudFormation.
func schemas(t *testing.T) *jsonschema.Compiler {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(schema.SamSchema))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("sam.json", doc); err != nil {
		t.Fatal(err)
	}
	return c
}
