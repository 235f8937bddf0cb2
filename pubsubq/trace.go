package pubsubq

import "strings"

// The names of a trace, in metadata and as CloudEvents extensions.
const (
	traceparent = "traceparent"
	tracestate  = "tracestate"
)

// maxTrace is the longest value of a trace that travels. W3C's Trace Context requires at least 512
// characters of tracestate, and allows to drop longer ones. Pub/Sub refuses a message with an
// attribute over 1024 bytes.
const maxTrace = 512

// TraceOf returns the W3C traceparent and tracestate of a message's metadata, of the attributes of
// a CloudEvent, or of the trace of a record. It returns nil if there is no valid traceparent. A
// tracestate that is over 512 bytes long, or not printable ASCII, is left out, because brokers
// would refuse the message. Other entries are left out, because brokers limit the number of
// attributes.
func TraceOf(from map[string]string) map[string]string {
	parent := from[traceparent]
	if !isParent(parent) {
		return nil
	}
	trace := map[string]string{traceparent: parent}
	if state := from[tracestate]; state != "" && len(state) <= maxTrace && printable(state) { // SQS refuses empty values
		trace[tracestate] = state
	}
	return trace
}

// isParent reports whether s is a traceparent by section 3.2 of W3C's Trace Context: version, trace
// id, span id and flags, in lower-case hex. Versions after 00 may have more fields.
func isParent(s string) bool {
	const length = 55
	if len(s) < length || len(s) > maxTrace || s[2] != '-' || s[35] != '-' || s[52] != '-' {
		return false
	}
	version, trace, span, flags := s[:2], s[3:35], s[36:52], s[53:length]
	switch {
	case !isHex(version) || !isHex(trace) || !isHex(span) || !isHex(flags):
		return false
	case version == "ff" || strings.Trim(trace, "0") == "" || strings.Trim(span, "0") == "":
		return false
	case version == "00":
		return len(s) == length
	default:
		return len(s) == length || s[length] == '-' && printable(s)
	}
}

func isHex(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return !(r >= '0' && r <= '9' || r >= 'a' && r <= 'f') })
}

func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}
