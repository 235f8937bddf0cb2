// Package airports is the computation behind the demo job: for each US ZIP code the nearest airport
// by great-circle distance. It is pure: the data is embedded, nothing is read or written but what the
// caller hands in, and the same row always gives the same bytes.
//
// The job runs in steps, so the work is cut by row: [Data.Nearest] answers one ZIP code, [WriteRow]
// writes it, and [Stats] adds it up. Stats goes into the job's checkpoint as JSON. It holds integers
// only, and integer sums do not depend on where a run was cut, so a job that was killed and resumed
// writes the same files as one that was not.
package airports

import (
	"bytes"
	"cmp"
	"embed"
	"encoding/csv"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

//go:embed data/airports.csv data/zipcodes.csv
var files embed.FS

// place is a point on the sphere, in radians, with the cosine of its latitude.
type place struct {
	lat, lon, cosLat float64
}

// airport is one row of airports.csv. City, state and country are not kept: every airport counts,
// also the four that lie outside the United States (see data/README.md).
type airport struct {
	place

	iata, name string
}

// zipCode is one row of zipcodes.csv.
type zipCode struct {
	place

	code, city, state string
}

// Data is the two tables, ready to be searched. It is read-only and safe for concurrent use.
type Data struct {
	zipCodes []zipCode // in the order of the file
	airports []airport // by latitude, so that Nearest can stop early; equal latitudes by IATA code
}

// Load parses the embedded tables. Every row must be whole, with coordinates in range: the files are
// part of the program, so a bad row is a mistake to report and not a row to skip.
func Load() (*Data, error) {
	zipText, err := files.ReadFile("data/zipcodes.csv")
	if err != nil {
		return nil, fmt.Errorf("airports: %w", err)
	}
	airportText, err := files.ReadFile("data/airports.csv")
	if err != nil {
		return nil, fmt.Errorf("airports: %w", err)
	}
	return parse(zipText, airportText)
}

// Len returns how many ZIP codes there are.
func (d *Data) Len() int { return len(d.zipCodes) }

// parse builds Data from the text of the two tables.
func parse(zipText, airportText []byte) (*Data, error) {
	data := &Data{}
	err := parseTable(zipText, "zip_code,latitude,longitude,city,state,county", 1, func(row []string, at place) {
		data.zipCodes = append(data.zipCodes, zipCode{place: at, code: row[0], city: row[3], state: row[4]})
	})
	if err != nil {
		return nil, fmt.Errorf("airports: zipcodes.csv: %w", err)
	}
	err = parseTable(airportText, "iata,name,city,state,country,latitude,longitude", 5, func(row []string, at place) {
		data.airports = append(data.airports, airport{place: at, iata: row[0], name: row[1]})
	})
	if err != nil {
		return nil, fmt.Errorf("airports: airports.csv: %w", err)
	}
	if len(data.airports) == 0 {
		return nil, fmt.Errorf("airports: airports.csv: no rows")
	}
	slices.SortFunc(data.airports, func(a, b airport) int {
		return cmp.Or(cmp.Compare(a.lat, b.lat), compareIATA(a, b))
	})
	return data, nil
}

// parseTable checks the header and calls add for each row, with the place found in the columns
// latCol and latCol+1. The first column is a key: it must not be empty and must not come twice.
func parseTable(text []byte, header string, latCol int, add func(row []string, at place)) error {
	lines, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil {
		return err
	}
	if len(lines) == 0 || strings.Join(lines[0], ",") != header {
		return fmt.Errorf("the header is not %q", header)
	}
	seen := make(map[string]bool, len(lines))
	for i, row := range lines[1:] {
		if row[0] == "" || seen[row[0]] {
			return fmt.Errorf("row %d: key %q is empty or comes twice", i+1, row[0])
		}
		seen[row[0]] = true
		at, err := parsePlace(row[latCol], row[latCol+1])
		if err != nil {
			return fmt.Errorf("row %d: %s: %w", i+1, row[0], err)
		}
		add(row, at)
	}
	return nil
}

// parsePlace reads a latitude and a longitude in degrees.
func parsePlace(latText, lonText string) (place, error) {
	lat, err := parseDegrees(latText, 90)
	if err != nil {
		return place{}, fmt.Errorf("latitude: %w", err)
	}
	lon, err := parseDegrees(lonText, 180)
	if err != nil {
		return place{}, fmt.Errorf("longitude: %w", err)
	}
	return newPlace(lat, lon), nil
}

// parseDegrees reads a number between -limit and limit. The comparison is written so that NaN fails it.
func parseDegrees(text string, limit float64) (float64, error) {
	degrees, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0, err
	}
	if !(math.Abs(degrees) <= limit) {
		return 0, fmt.Errorf("%s is not between -%g and %g", text, limit, limit)
	}
	return degrees, nil
}

// newPlace turns degrees into radians.
func newPlace(lat, lon float64) place {
	const perDegree = math.Pi / 180
	rad := lat * perDegree
	return place{lat: rad, lon: lon * perDegree, cosLat: math.Cos(rad)}
}
