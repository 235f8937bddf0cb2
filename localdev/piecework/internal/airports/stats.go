package airports

import (
	"cmp"
	"encoding/csv"
	"io"
	"maps"
	"slices"
	"strconv"
)

// remotestKept is how many of the remotest ZIP codes Stats keeps.
const remotestKept = 10

// Stats adds up matches. The zero value is empty and ready. It may be marshalled to JSON at any
// point and go on from there: the result is the same, byte for byte, however the work was cut.
type Stats struct {
	States map[string]StateStats `json:"states,omitempty"`
	Far    []Match               `json:"remotest,omitempty"` // remotest first, at most remotestKept
}

// StateStats adds up the ZIP codes of one state.
type StateStats struct {
	ZIPCodes int64  `json:"zip_codes"`
	Sum      Tenths `json:"sum"` // of the distances as nearest.csv shows them
	Max      Tenths `json:"max"`
}

// Add counts one match.
func (s *Stats) Add(m Match) {
	if s.States == nil {
		s.States = make(map[string]StateStats)
	}
	state := s.States[m.State]
	state.ZIPCodes++
	state.Sum += m.Distance
	state.Max = max(state.Max, m.Distance)
	s.States[m.State] = state

	if at, _ := slices.BinarySearchFunc(s.Far, m, compareRemote); at < remotestKept {
		s.Far = slices.Insert(s.Far, at, m)
		s.Far = s.Far[:min(len(s.Far), remotestKept)]
	}
}

// ZIPCodes returns how many matches were added.
func (s *Stats) ZIPCodes() int64 {
	var total int64
	for _, state := range s.States {
		total += state.ZIPCodes
	}
	return total
}

// Remotest returns the n ZIP codes farthest from their nearest airport, the remotest first, equally
// remote ones by ZIP code. At most ten are kept, so n above ten gives ten.
func (s *Stats) Remotest(n int) []Match {
	return slices.Clone(s.Far[:max(0, min(n, len(s.Far)))])
}

// WriteCSV writes by-state.csv: a line for each state, sorted by state.
func (s *Stats) WriteCSV(w io.Writer) error {
	out := csv.NewWriter(w)
	if err := out.Write([]string{"state", "zip_codes", "mean_km", "max_km"}); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(s.States)) {
		state := s.States[name]
		row := []string{name, strconv.FormatInt(state.ZIPCodes, 10), state.mean().String(), state.Max.String()}
		if err := out.Write(row); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// mean returns the mean distance, rounded to a tenth of a kilometre, halves up.
func (s StateStats) mean() Tenths {
	count := Tenths(s.ZIPCodes)
	return (2*s.Sum + count) / (2 * count)
}

// compareRemote orders matches by distance, the farthest first, then by ZIP code.
func compareRemote(a, b Match) int {
	return cmp.Or(cmp.Compare(b.Distance, a.Distance), cmp.Compare(a.ZIPCode, b.ZIPCode))
}
