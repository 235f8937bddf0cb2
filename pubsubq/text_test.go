package pubsubq_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

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

func TestRepeatedNamesAreRefused(t *testing.T) {
	for data, want := range map[string]string{
		``: "", `x`: "", `{`: "", `1`: "", `{"a":1,"b":1}`: "", `[{"a":1},{"a":2}]`: "", `{"a":{"a":[{"a":1}]},"b":{"a":1}}`: "",
		`["a","a"]`: "", `{"a":"b","b":"a"}`: "", `{"raw":{"a":1,"a":2}}`: "", `[{"raw":[{"a":1,"a":2}],"a":1}]`: "",
		`{"a":1,"a":2}`:                          `member "a" is given twice`,
		`{"a":1,"\u0061":1}`:                     `member "a" is given twice`,
		`[1,{"x":[],"b":{"a":1,"c":{},"a":[]}}]`: `member "a" is given twice`,
		`{"a":{"x":1},"b":1,"a":{}}`:             `member "a" is given twice`,
		`{"raw":1,"raw":2}`:                      `member "raw" is given twice`,
		`{"":1,"":2}`:                            `member "" is given twice`,
		`{"kind":1,"Kind":2}`:                    `members "kind" and "Kind" differ in case only`,
		`{"tags":1,"tag\u017f":2}`:               `differ in case only`,
	} {
		switch err := pubsubq.CheckNames([]byte(data), "raw"); {
		case want == "" && err != nil:
			t.Errorf("CheckNames(%s) = %v, want it to be taken", data, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("CheckNames(%s) = %v, want %q", data, err, want)
		}
	}
}

// JSON that passes has unique names.
func FuzzCheckNames(f *testing.F) {
	for _, seed := range []string{`{"a":1,"a":2}`, `[{"a":1},{"a":{"a":1}}]`, `{"a":1,"\u0061":2}`, `{"":{},"":1}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		allowed := []jsontext.Options{jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true)}
		if !jsontext.Value(data).IsValid(allowed...) {
			return
		}
		unique := jsontext.Value(data).IsValid(jsontext.AllowInvalidUTF8(true))
		if err := pubsubq.CheckNames(data); err == nil && !unique || err != nil && unique && !strings.Contains(err.Error(), "in case only") {
			t.Errorf("CheckNames(%q) = %v, want an error exactly if a name is repeated", data, err)
		}
	})
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
