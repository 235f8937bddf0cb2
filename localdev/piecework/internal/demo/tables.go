package demo

import (
	"bytes"
	"cmp"
	"embed"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"sort"
	"strconv"
)

//go:embed data/airports.csv data/zipcodes.csv
var files embed.FS

// place is a row of a table, with its point on the unit sphere.
type place struct {
	x, y, z float64
	row     []string
}

// tables are the two embedded tables. They are read-only and safe for concurrent use.
type tables struct {
	zipCodes []place // in the order of the file
	airports []place // from south to north, so that nearest can stop early
}

func load() (*tables, error) {
	zipCodes, zipErr := readTable("data/zipcodes.csv", 1)
	airports, airportErr := readTable("data/airports.csv", 5)
	slices.SortFunc(airports, func(a, b place) int { return cmp.Compare(a.z, b.z) })
	return &tables{zipCodes, airports}, errors.Join(zipErr, airportErr)
}

// readTable reads a table with latitude and longitude in the columns lat and lat+1.
func readTable(name string, lat int) ([]place, error) {
	text, err := files.ReadFile(name)
	if err != nil {
		return nil, err
	}
	rows, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	var places []place
	for _, row := range rows[1:] {
		north, northErr := strconv.ParseFloat(row[lat], 64)
		east, eastErr := strconv.ParseFloat(row[lat+1], 64)
		if err := errors.Join(northErr, eastErr); err != nil {
			return nil, fmt.Errorf("%s: %s: %w", name, row[0], err)
		}
		places = append(places, newPlace(north, east, row))
	}
	return places, nil
}

// newPlace returns the place at a latitude and a longitude in degrees.
func newPlace(lat, lon float64, row []string) place {
	lat, lon = lat*math.Pi/180, lon*math.Pi/180
	return place{math.Cos(lat) * math.Cos(lon), math.Cos(lat) * math.Sin(lon), math.Sin(lat), row}
}

// nearest returns the airport nearest to a ZIP code, and the distance in kilometres to one decimal.
// It walks north and south from the ZIP code and stops on each side where the difference along the
// axis of the Earth alone exceeds the best distance.
func (t *tables) nearest(zip *place) (best *place, km float64) {
	least := math.Inf(1)
	closer := func(a *place) bool {
		if along := a.z - zip.z; along*along > least {
			return false
		}
		if d := chordSquared(zip, a); d < least {
			least, best = d, a
		}
		return true
	}
	north := sort.Search(len(t.airports), func(k int) bool { return t.airports[k].z >= zip.z })
	for k := north; k < len(t.airports) && closer(&t.airports[k]); k++ {
	}
	for k := north - 1; k >= 0 && closer(&t.airports[k]); k-- {
	}
	return best, kilometres(least)
}

// chordSquared returns the square of the straight distance between two places in Earth radii.
func chordSquared(a, b *place) float64 {
	x, y, z := b.x-a.x, b.y-a.y, b.z-a.z
	return x*x + y*y + z*z
}

// kilometres returns the distance along the surface to one decimal. The radius is the mean of WGS
// 84.
func kilometres(chordSquared float64) float64 {
	const radius = 6371.0088
	return math.Round(2*radius*math.Asin(min(1, math.Sqrt(chordSquared)/2))*10) / 10
}

// decimal writes kilometres with one decimal.
func decimal(km float64) string { return strconv.FormatFloat(km, 'f', 1, 64) }

// state adds up the ZIP codes of one state. It is part of the checkpoint, and sums integers (tenths
// of a kilometre), so the result does not depend on where a run was cut.
type state struct {
	ZIPCodes int64 `json:"zip_codes"`
	Sum      int64 `json:"sum"`
	Max      int64 `json:"max"`
}

func (s state) plus(km float64) state {
	tenths := int64(math.Round(km * 10))
	return state{s.ZIPCodes + 1, s.Sum + tenths, max(s.Max, tenths)}
}

// mean is the mean distance in tenths of a kilometre, halves up.
func (s state) mean() int64 { return (2*s.Sum + s.ZIPCodes) / (2 * s.ZIPCodes) }

// writeStates writes a line for each state, sorted by its name.
func writeStates(w io.Writer, states map[string]state) error {
	rows := [][]string{{"state", "zip_codes", "mean_km", "max_km"}}
	for _, name := range slices.Sorted(maps.Keys(states)) {
		s := states[name]
		rows = append(rows, []string{name, strconv.FormatInt(s.ZIPCodes, 10), decimal(float64(s.mean()) / 10), decimal(float64(s.Max) / 10)})
	}
	return csv.NewWriter(w).WriteAll(rows)
}
