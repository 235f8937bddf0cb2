package pubsubq_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/piecework/piecework/pubsubq"
)

func TestTextThatWouldBeReplacedIsRefused(t *testing.T) {
	for data, want := range map[string]bool{
		``: true, `x`: true, `{"a":"ä"}`: true, `{"a":"\u00e4\ud83d\ude00"}`: true, `{"a":"\\ud83d"}`: true, `{"a":"\ufffd"}`: true,
		"{\"a\":\"\xfc\"}": false, "\xff": false, `{"a":"\ud83d"}`: false, `{"a":["\ude00\ud83d"]}`: false, `{"\ud83d":1}`: false,
		`{"raw":"\ud83d"}`: true, `{"a":[{"raw":{"b":"\ud83d"}}]}`: true, `{"raw":1,"a":"\ud83d"}`: false, `["raw","\ud83d"]`: false,
		"{\"raw\":\"\xfc\"}": false, `{"a":"raw","b":"\ud83d"}`: false,
	} {
		if err := pubsubq.CheckText([]byte(data), "raw"); (err == nil) != want {
			t.Errorf("CheckText(%q) = %v, want it to be taken: %v", data, err, want)
		}
	}
}

// Text that passes is read as it was written.
func FuzzCheckText(f *testing.F) {
	for _, seed := range []string{`"\ud83d\ude00"`, `"\ud83d"`, `"a\\ud83d"`, `"\ufffd"`, "\"\xff\"", `"\u00e4"`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var text string
		if json.Unmarshal(data, &text) != nil {
			return
		}
		replaced := strings.ContainsRune(text, '\uFFFD')
		meant := strings.Contains(string(data), "\uFFFD") || strings.Contains(strings.ToLower(string(data)), `\ufffd`)
		if err := pubsubq.CheckText(data); (err != nil) != replaced && !meant {
			t.Errorf("CheckText(%q) = %v, want an error exactly if text is replaced: it is read as %q", data, err, text)
		}
	})
}
