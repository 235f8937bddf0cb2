package airports

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"
)

func TestStatsAreTheSameHoweverTheWorkWasCut(t *testing.T) {
	data := load(t)
	var whole Stats
	for i := range data.Len() {
		whole.Add(data.Nearest(i))
	}
	want := toJSON(t, whole)

	// Cut after every 997 rows: to JSON and back, as a checkpoint does it.
	var resumed Stats
	for i := range data.Len() {
		if i%997 == 0 {
			saved := toJSON(t, resumed)
			resumed = Stats{}
			if err := json.Unmarshal(saved, &resumed); err != nil {
				t.Fatal(err)
			}
		}
		resumed.Add(data.Nearest(i))
	}
	if got := toJSON(t, resumed); !bytes.Equal(got, want) {
		t.Errorf("resumed: %s\nin one go: %s", got, want)
	}

	// Backwards: no sum depends on the order.
	var backwards Stats
	for i := data.Len() - 1; i >= 0; i-- {
		backwards.Add(data.Nearest(i))
	}
	if got := toJSON(t, backwards); !bytes.Equal(got, want) {
		t.Errorf("backwards: %s\nin one go: %s", got, want)
	}
	if whole.ZIPCodes() != int64(data.Len()) {
		t.Errorf("%d ZIP codes counted, want %d", whole.ZIPCodes(), data.Len())
	}
	const inline = 32 << 10 // a larger checkpoint would cost a blob at every step
	if len(want) > inline {
		t.Errorf("the stats are %d bytes of JSON, want at most %d", len(want), inline)
	}
}

func toJSON(t *testing.T, stats Stats) []byte {
	t.Helper()
	text, err := json.Marshal(stats)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestRemotest(t *testing.T) {
	var stats Stats
	if got := stats.Remotest(10); len(got) != 0 {
		t.Errorf("of nothing: %v", got)
	}
	for _, code := range []string{"g", "b", "m", "a", "c", "l", "d", "k", "e", "j", "f", "h"} {
		distance := Tenths(code[0])
		if code == "b" {
			distance = 'm' // as far as m, and first by code
		}
		stats.Add(Match{ZIPCode: code, State: "S", Distance: distance})
	}
	tests := []struct {
		n    int
		want string
	}{{-1, ""}, {0, ""}, {1, "b"}, {3, "bml"}, {10, "bmlkjhgfed"}, {11, "bmlkjhgfed"}}
	for _, test := range tests {
		var got string
		for _, m := range stats.Remotest(test.n) {
			got += m.ZIPCode
		}
		if got != test.want {
			t.Errorf("the %d remotest are %q, want %q", test.n, got, test.want)
		}
	}
}

func TestRemotestOfTheData(t *testing.T) {
	data := load(t)
	var stats Stats
	for i := range data.Len() {
		stats.Add(data.Nearest(i))
	}
	want := []struct{ code, iata, km string }{
		{"96799", "Z08", "2382.0"}, {"96960", "SPN", "2291.1"}, {"96970", "SPN", "2291.1"},
		{"96941", "SPN", "1083.8"}, {"96942", "SPN", "1083.8"}, {"96943", "SPN", "1083.8"}, {"96944", "SPN", "1083.8"},
		{"96795", "PAK", "920.0"}, {"96801", "PAK", "920.0"}, {"96802", "PAK", "920.0"},
	}
	got := stats.Remotest(10)
	if len(got) != len(want) {
		t.Fatalf("%d matches, want %d", len(got), len(want))
	}
	for i, m := range got {
		if m.ZIPCode != want[i].code || m.IATA != want[i].iata || m.Distance.String() != want[i].km {
			t.Errorf("number %d is %+v, want %+v", i+1, m, want[i])
		}
	}
}

func TestWriteCSVRoundsTheMeanHalfUp(t *testing.T) {
	var stats Stats
	for state, distances := range map[string][]Tenths{"B": {1, 2}, "A": {0, 0, 1}, "C": {1005}} {
		for _, distance := range distances {
			stats.Add(Match{State: state, Distance: distance})
		}
	}
	var out bytes.Buffer
	if err := stats.WriteCSV(&out); err != nil {
		t.Fatal(err)
	}
	want := "state,zip_codes,mean_km,max_km\nA,3,0.0,0.1\nB,2,0.2,0.2\nC,1,100.5,100.5\n"
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}

var errFull = errors.New("full")

type fullWriter struct{}

func (fullWriter) Write([]byte) (int, error) { return 0, errFull }

func TestWriteCSVReportsAWriteError(t *testing.T) {
	var stats Stats
	stats.Add(Match{State: "A"})
	if err := stats.WriteCSV(fullWriter{}); !errors.Is(err, errFull) {
		t.Errorf("error %v, want %v", err, errFull)
	}
}
