package store

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

// The files hold records as earlier versions of the software wrote them, one of each format with
// every member. They are never changed: what is in them is in somebody's store.
func TestRecordsOfEarlierVersionsAreReadAndKept(t *testing.T) {
	files, err := filepath.Glob("testdata/records/*.json")
	if err != nil || len(files) < Version {
		t.Fatalf("files %v, error %v, want one of each of the %d formats", files, err, Version)
	}
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			j, err := decode(data)
			if err != nil {
				t.Fatal(err)
			}
			if len(j.Extra) > 0 {
				t.Errorf("members that this version does not know: %s, want none", j.Extra)
			}
			r, err := encode(j, MaxRecord)
			if err != nil {
				t.Fatal(err)
			}
			var want, got any
			if err := errors.Join(json.Unmarshal(data, &want), json.Unmarshal(r, &got)); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(want, got) {
				t.Errorf("written again it is\n%s\nwant\n%s", r, data)
			}
		})
	}
}
