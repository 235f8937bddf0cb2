package store

import (
	"errors"
	"reflect"
	"testing"
)

func TestListsOfOutputsAddUp(t *testing.T) {
	part := func(keys ...string) (parts []Blob) {
		for _, k := range keys {
			parts = append(parts, Blob{Key: k, Size: 1})
		}
		return parts
	}
	first := []Output{{Name: "a", ContentType: "text/csv", Parts: part("a1", "a2")}, {Name: "b", Parts: part("b1")}}
	second := []Output{{Name: "c", Parts: part("c1")}, {Name: "a", Parts: part("a3")}}
	third := []Output{{Name: "a", Parts: part("a4")}, {Name: "b", Parts: part("b2")}}
	want := []Output{
		{Name: "a", ContentType: "text/csv", Parts: part("a1", "a2", "a3", "a4")}, {Name: "b", Parts: part("b1", "b2")},
		{Name: "c", Parts: part("c1")},
	}
	if got := Concat(first, second, third); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if got := Concat(Concat(first, second), third); !reflect.DeepEqual(got, want) {
		t.Errorf("in two steps: got %+v\nwant %+v", got, want)
	}
	roomy := []Output{{Name: "a", Parts: append(make([]Blob, 0, 8), part("a1")...)}}
	if a, b := Concat(roomy, []Output{{Name: "a", Parts: part("a2")}}), Concat(roomy, []Output{{Name: "a", Parts: part("a3")}}); a[0].Parts[1].Key != "a2" || b[0].Parts[1].Key != "a3" {
		t.Errorf("two lists with one beginning are %+v and %+v, want each to keep its own parts", a, b)
	}
	if len(first[0].Parts) != 2 || len(second[1].Parts) != 1 {
		t.Error("Concat changed its arguments, want them as they were")
	}
	data, err := EncodeOutputs(want)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := DecodeOutputs(data); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("read back: %+v, error %v, want %+v", got, err, want)
	}
	if _, err := DecodeOutputs([]byte(`{"x"`)); !errors.Is(err, ErrManifest) {
		t.Errorf("error %v, want ErrManifest", err)
	}
}

// Software that knows no manifests must not take the record for complete; of all other records it
// can read what is written.
func TestOnlyRecordsWithManifestsAreOfTheNewerFormat(t *testing.T) {
	m := Manifest{Blob: Blob{Key: "k", Size: 1}}
	for name, c := range map[string]struct {
		job  Job
		want int
	}{
		"plain":       {Job{}, 1},
		"open parts":  {Job{OpenIn: []Manifest{m}}, 2},
		"outputs":     {Job{OutputsIn: &m}, 2},
		"from before": {Job{Version: 2}, 2},
	} {
		r, err := encode(c.job, MaxRecord)
		if err != nil {
			t.Fatal(err)
		}
		if j, err := decode(r); err != nil || j.Version != c.want {
			t.Errorf("%s: format %d, error %v, want %d", name, j.Version, err, c.want)
		}
	}
}
