package lambda

import (
	"encoding/json"
	"fmt"
	"strings"
)

// shape is what tells events apart.
type shape struct {
	Records []struct {
		EventSource string `json:"eventSource"`
	} `json:"Records"`
	RequestContext json.RawMessage `json:"requestContext"`
	DetailType     *string         `json:"detail-type"`
	Source         string          `json:"source"`
}

// kindOf says in words what an event looks like.
func kindOf(payload json.RawMessage) string {
	var s shape
	if err := json.Unmarshal(payload, &s); err != nil {
		return "JSON of another form"
	}
	switch {
	case len(s.Records) > 0 && s.Records[0].EventSource != "":
		return fmt.Sprintf("an event of %.40q", s.Records[0].EventSource)
	case s.Records != nil:
		return "an event with Records that are not of SQS"
	case s.RequestContext != nil:
		return "an HTTP request"
	case s.DetailType != nil:
		return fmt.Sprintf("an event of EventBridge from %.40q", s.Source)
	}
	return "JSON of another form"
}

// expects says which events each function takes, and where to send others.
var expects = map[string]string{
	"submit":  "events of SQS: map the queue \"submit\" to it as an event source. To submit directly, send a message to that queue, or ask the function \"api\"",
	"execute": "events of SQS: map the queues of the jobs to it as event sources",
	"sweep":   "events of EventBridge, or JSON such as {}, or {\"part\":0,\"parts\":4}",
	"api":     "HTTP requests: of a function URL, or of API Gateway",
}

// wrongEvent refuses an event that a function is not for.
func wrongEvent(name string, payload json.RawMessage) error {
	begin := strings.ToValidUTF8(string(payload[:min(len(payload), 120)]), "")
	return fmt.Errorf("the function %q got %s, but takes %s (the event begins with %q)", name, kindOf(payload), expects[name], begin)
}
