package command

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/piecework/piecework/infra/drivers"
)

// The defaults of the help are those that are taken.
func TestTheHelpHasTheVariablesWithTheirDefaults(t *testing.T) {
	page := environmentTopic().Long
	needed := []string{envStore + "=mem://", envQueues + "=mem://{queue}", envBlobs + "=mem://"}
	bare, err := readEnv(needed)
	if err != nil {
		t.Fatal(err)
	}
	given := slices.Clone(needed)
	for _, v := range slices.Concat(drivers.Variables(), variables) {
		if !strings.Contains(page, "\n  "+v.Name) || !strings.Contains(page, v.Doc) {
			t.Errorf("the help does not tell of %s", v.Name)
		}
		if v.Default == "" {
			continue
		}
		given = append(given, v.Name+"="+v.Default)
		if !strings.Contains(page, v.Name+"="+v.Default+"\n") {
			t.Errorf("the help does not tell the default of %s", v.Name)
		}
	}
	set, err := readEnv(given)
	if err != nil {
		t.Fatal(err)
	}
	bare.lines, set.lines = nil, nil
	if !reflect.DeepEqual(bare, set) {
		t.Errorf("without variables %+v, with the defaults of the help %+v", bare, set)
	}
}
