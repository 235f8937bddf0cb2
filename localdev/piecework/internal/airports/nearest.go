package airports

import (
	"encoding/csv"
	"math"
	"sort"
	"strconv"
	"strings"
)

// earthRadiusKm is the mean radius of the Earth: (2a+b)/3 of the WGS 84 ellipsoid.
const earthRadiusKm = 6371.0088

// slack widens the bound at which Nearest stops looking. It is a million times the error of math.Sin,
// so the search never stops early because of rounding, and it costs next to nothing.
const slack = 1 + 1e-9

// Tenths is a distance in tenths of a kilometre. All sums and comparisons of results are made in
// this unit: it is what the files show, so by-state.csv can be recomputed from nearest.csv.
type Tenths int64

// String writes the distance in kilometres with one decimal.
func (t Tenths) String() string {
	return strconv.FormatInt(int64(t/10), 10) + "." + strconv.FormatInt(int64(t%10), 10)
}

// Match is a ZIP code with its nearest airport. It is JSON-serialisable: the remotest matches are
// part of [Stats], and so of a checkpoint.
type Match struct {
	ZIPCode  string `json:"zip_code"`
	State    string `json:"state"`
	City     string `json:"city"`
	IATA     string `json:"iata"`
	Airport  string `json:"airport"`
	Distance Tenths `json:"distance"`
}

// Nearest returns the airport nearest to the ZIP code at index i of the file, 0 <= i < Len. Of two
// airports at exactly the same computed distance it takes the lower IATA code.
//
// It walks away from the ZIP code's latitude in both directions and stops on each side where the
// difference in latitude alone is farther than the best found: the result is the one that comparing
// with every airport gives, for about a hundredth of the work.
func (d *Data) Nearest(i int) Match {
	zip := d.zipCodes[i]
	north := sort.Search(len(d.airports), func(k int) bool { return d.airports[k].lat >= zip.lat })
	best := search{from: zip.place, haversine: math.Inf(1)}
	for k := north; k < len(d.airports) && best.offer(&d.airports[k]); k++ {
	}
	for k := north - 1; k >= 0 && best.offer(&d.airports[k]); k-- {
	}
	return Match{
		ZIPCode:  zip.code,
		State:    zip.state,
		City:     zip.city,
		IATA:     best.airport.iata,
		Airport:  best.airport.name,
		Distance: toTenths(kilometres(best.haversine)),
	}
}

// search is the state of one search: the best airport so far and its haversine.
type search struct {
	from      place
	airport   *airport
	haversine float64
}

// offer takes the candidate if it is nearer than the best so far. It reports false if no airport
// farther away in latitude can be nearer either.
func (s *search) offer(candidate *airport) bool {
	northSouth := sinHalfSquared(candidate.lat - s.from.lat)
	if northSouth > s.haversine*slack {
		return false
	}
	h := haversine(northSouth, s.from, candidate.place)
	if h < s.haversine || h == s.haversine && compareIATA(*candidate, *s.airport) < 0 {
		s.airport, s.haversine = candidate, h
	}
	return true
}

// haversine returns the haversine of the angle between two places, given the part of it that the
// difference in latitude makes. It is never less than that part: the other summand is not negative,
// and rounding keeps the order.
//
// Each product is rounded by an explicit conversion: without, Go may fuse a product and a sum into
// one operation on some processors, and the last bit would depend on the machine.
func haversine(northSouth float64, a, b place) float64 {
	eastWest := float64(float64(a.cosLat*b.cosLat) * sinHalfSquared(b.lon-a.lon))
	return northSouth + eastWest
}

// sinHalfSquared returns the haversine of an angle. It has the period of a full turn, so a difference
// in longitude across the date line needs no care.
func sinHalfSquared(angle float64) float64 {
	sin := math.Sin(angle / 2)
	return float64(sin * sin)
}

// kilometres turns a haversine into a distance.
func kilometres(h float64) float64 {
	return 2 * earthRadiusKm * math.Asin(min(1, math.Sqrt(h)))
}

// toTenths rounds a distance to tenths of a kilometre, halves up.
func toTenths(km float64) Tenths {
	return Tenths(math.Round(km * 10))
}

// compareIATA orders airports by their code, byte by byte.
func compareIATA(a, b airport) int { return strings.Compare(a.iata, b.iata) }

// WriteHeader writes the header line of nearest.csv.
func WriteHeader(w *csv.Writer) error {
	return w.Write([]string{"zip_code", "iata", "airport", "distance_km"})
}

// WriteRow writes one line of nearest.csv. The caller flushes w.
func WriteRow(w *csv.Writer, m Match) error {
	return w.Write([]string{m.ZIPCode, m.IATA, m.Airport, m.Distance.String()})
}
