package demo

import "github.com/piecework/piecework/localdev/piecework/internal/airports"

// Result is what the job returns.
type Result struct {
	Rows        int      `json:"rows"`     // ZIP codes
	Airports    int      `json:"airports"` // that each of them was compared with
	States      int      `json:"states"`
	MeanKM      float64  `json:"mean_km"` // of the distances, to one decimal as in the files
	MaxKM       float64  `json:"max_km"`
	FromRow     int      `json:"from_row"`    // where the attempt that won began: the rows before were not done again
	Checkpoints int      `json:"checkpoints"` // by all attempts
	Remotest    []Remote `json:"remotest"`    // the ten ZIP codes farthest from their nearest airport
}

// Remote is a ZIP code that is far from its nearest airport.
type Remote struct {
	ZIPCode    string  `json:"zip_code"`
	City       string  `json:"city"`
	State      string  `json:"state"`
	IATA       string  `json:"iata"`
	Airport    string  `json:"airport"`
	DistanceKM float64 `json:"distance_km"`
}

// result is what comes of an attempt that went through.
func (r *run) result() Result {
	res := Result{
		Rows: r.at.Row, Airports: Airports, States: len(r.at.Stats.States), FromRow: r.from, Checkpoints: r.at.Checkpoints,
	}
	var sum, longest airports.Tenths
	for _, state := range r.at.Stats.States {
		sum += state.Sum
		longest = max(longest, state.Max)
	}
	if n := airports.Tenths(r.at.Row); n > 0 {
		res.MeanKM = kilometres((2*sum + n) / (2 * n))
	}
	res.MaxKM = kilometres(longest)
	for _, m := range r.at.Stats.Remotest(10) {
		res.Remotest = append(res.Remotest, Remote{
			ZIPCode: m.ZIPCode, City: m.City, State: m.State, IATA: m.IATA, Airport: m.Airport,
			DistanceKM: kilometres(m.Distance),
		})
	}
	return res
}

// kilometres is a distance as a number with one decimal.
func kilometres(t airports.Tenths) float64 { return float64(t) / 10 }
