package airports

import (
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"fmt"
	"math"
	"testing"
)

// The sums of the two files, computed once by another program in another language with another
// formula: the angle between unit vectors from their cross and dot product, in 80-bit floats,
// every ZIP code against every airport.
const (
	nearestSHA256 = "9cc8aa3ecf60097629c3f8d48bc92e12ced97eec97104ec2e644871cf70352f8"
	byStateSHA256 = "dd604235e6d87e0fa51dec3c4ea54498f90bff8d90f79d79516973d73a84e626"
)

func TestFilesHaveTheIndependentlyComputedSums(t *testing.T) {
	data := load(t)
	var nearest, byState bytes.Buffer
	var stats Stats
	rows := csv.NewWriter(&nearest)
	if err := WriteHeader(rows); err != nil {
		t.Fatal(err)
	}
	for i := range data.Len() {
		m := data.Nearest(i)
		stats.Add(m)
		if err := WriteRow(rows, m); err != nil {
			t.Fatal(err)
		}
	}
	rows.Flush()
	if err := stats.WriteCSV(&byState); err != nil {
		t.Fatal(err)
	}
	checkSum(t, "nearest.csv", nearest.Bytes(), nearestSHA256)
	checkSum(t, "by-state.csv", byState.Bytes(), byStateSHA256)
}

func checkSum(t *testing.T, name string, text []byte, want string) {
	t.Helper()
	sum := sha256.Sum256(text)
	if got := hex.EncodeToString(sum[:]); got != want {
		t.Errorf("%s: sha256 %s, want %s; it begins\n%s", name, got, want, text[:min(300, len(text))])
	}
}

// This compares each row's search with the plain comparison with every airport. It also measures
// how far the results are from depending on the last bits of a float: by how much the nearest airport
// beats the second, and how far the distance is from where its rounding changes.
func TestSearchEqualsComparingWithEveryAirport(t *testing.T) {
	if testing.Short() {
		t.Skip("142 million distances")
	}
	data := load(t)
	leadKm, roundingKm := math.Inf(1), math.Inf(1)
	for i, zip := range data.zipCodes {
		best, second := math.Inf(1), math.Inf(1)
		var nearest *airport
		for k := range data.airports {
			candidate := &data.airports[k]
			h := haversine(sinHalfSquared(candidate.lat-zip.lat), zip.place, candidate.place)
			switch {
			case h < best || h == best && candidate.iata < nearest.iata:
				best, second, nearest = h, best, candidate
			case h < second:
				second = h
			}
		}
		km := kilometres(best)
		want := Match{ZIPCode: zip.code, State: zip.state, City: zip.city, IATA: nearest.iata, Airport: nearest.name, Distance: toTenths(km)}
		if got := data.Nearest(i); got != want {
			t.Fatalf("got %+v, want %+v", got, want)
		}
		leadKm = min(leadKm, kilometres(second)-km)
		roundingKm = min(roundingKm, math.Abs(km*10-math.Floor(km*10)-0.5)/10)
	}
	t.Logf("smallest lead %.3g km, smallest distance from a rounding edge %.3g km", leadKm, roundingKm)
	const safeKm = 1e-8 // a thousand times what float64 may err by at these distances
	if leadKm < safeKm || roundingKm < safeKm {
		t.Errorf("a lead of %g km or a rounding edge %g km away may fall otherwise on another machine", leadKm, roundingKm)
	}
}

func TestKnownDistances(t *testing.T) {
	tests := []struct {
		name                   string
		lat1, lon1, lat2, lon2 float64
		want                   string
	}{
		{"the same place", 41.98, -87.9, 41.98, -87.9, "0.0"},
		{"a degree of a meridian", 0, 0, 1, 0, "111.2"},
		{"a degree of the equator", 0, 0, 0, 1, "111.2"},
		{"pole to pole", 90, 0, -90, 0, "20015.1"},
		{"pole to pole, other longitudes", 90, 17, -90, -60, "20015.1"},
		{"opposite on the equator", 0, -90, 0, 90, "20015.1"},
		{"across the date line", 0, 179.5, 0, -179.5, "111.2"},
		{"around the pole", 89.5, 0, 89.5, 180, "111.2"},
		{"JFK to LAX", 40.63975111, -73.77892556, 33.94253611, -118.4080744, "3974.2"},
		{"BOS to HNL", 42.3643475, -71.00517917, 21.31869111, -157.9224072, "8186.3"},
	}
	for _, test := range tests {
		a, b := newPlace(test.lat1, test.lon1), newPlace(test.lat2, test.lon2)
		for _, pair := range [][2]place{{a, b}, {b, a}} {
			h := haversine(sinHalfSquared(pair[1].lat-pair[0].lat), pair[0], pair[1])
			if got := toTenths(kilometres(h)).String(); got != test.want {
				t.Errorf("%s: %s km, want %s", test.name, got, test.want)
			}
		}
	}
}

func TestEqualDistanceTakesTheLowerCode(t *testing.T) {
	const header = "iata,name,city,state,country,latitude,longitude\n"
	tests := map[string]struct{ airports, want string }{
		"east and west":     {"BBB,,,,,0,1\nAAA,,,,,0,-1\n", "AAA"},
		"north and south":   {"BBB,,,,,1,0\nAAA,,,,,-1,0\n", "AAA"},
		"south and north":   {"AAA,,,,,1,0\nBBB,,,,,-1,0\n", "AAA"},
		"at one place":      {"B,,,,,2,2\nA1,,,,,2,2\nA,,,,,2,2\n", "A"},
		"lower but farther": {"AAA,,,,,0,1.0001\nBBB,,,,,0,-1\n", "BBB"},
	}
	for name, test := range tests {
		data, err := parse([]byte("zip_code,latitude,longitude,city,state,county\n1,0,0,C,S,X\n"), []byte(header+test.airports))
		if err != nil {
			t.Fatal(err)
		}
		if got := data.Nearest(0).IATA; got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}

func TestWriteRowQuotesWhatNeedsIt(t *testing.T) {
	var out bytes.Buffer
	w := csv.NewWriter(&out)
	m := Match{ZIPCode: "00501", IATA: "DBN", Airport: `W. H. "Bud" Barron`, Distance: 1234}
	if err := WriteRow(w, m); err != nil {
		t.Fatal(err)
	}
	w.Flush()
	if got, want := out.String(), "00501,DBN,\"W. H. \"\"Bud\"\" Barron\",123.4\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func ExampleData_Nearest() {
	data, err := Load()
	if err != nil {
		fmt.Println(err)
		return
	}
	m := data.Nearest(0)
	fmt.Printf("%s %s, %s: %s (%s), %s km\n", m.ZIPCode, m.City, m.State, m.Airport, m.IATA, m.Distance)
	// Output: 00501 Holtsville, NY: Francis Gabreski (FOK), 8.8 km
}

func BenchmarkAllRows(b *testing.B) {
	data := load(b)
	for b.Loop() {
		var stats Stats
		for i := range data.Len() {
			stats.Add(data.Nearest(i))
		}
	}
}

func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		load(b)
	}
}
