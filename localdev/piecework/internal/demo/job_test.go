package demo

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/localdev/kit"
	"github.com/piecework/piecework/store"
)

func jobs() *functions.Registry {
	reg := functions.NewRegistry()
	Register(reg)
	return reg
}

// result returns the result of a job that must have succeeded with the known files.
func result(t *testing.T, k *kit.Kit, id string) Result {
	t.Helper()
	for name, want := range map[string]string{nearestFile: nearestSHA256, byStateFile: byStateSHA256} {
		text := k.Output(id, name)
		if got := fmt.Sprintf("%x", sha256.Sum256(text)); got != want {
			t.Errorf("sum of %s = %s, want %s; it begins\n%s", name, got, want, text[:min(300, len(text))])
		}
	}
	return kit.Result[Result](k, id)
}

func TestFilesAreTheSameAtEveryCheckpointInterval(t *testing.T) {
	k := kit.New(t, jobs())
	for every, checkpoints := range map[int]int{0: 21, 97: 433, 1234: 34, 42048: 1, 42049: 0, 1 << 40: 0} {
		id := k.Submit(Kind, Args{CheckpointEvery: every})
		calls := k.Drain()
		if res := result(t, k, id); res.Checkpoints != checkpoints || res.FromRow != 0 || calls != 1 {
			t.Errorf("every %d rows: result = %+v in %d calls, want %d checkpoints in 1 call", every, res, calls, checkpoints)
		}
	}
}

func TestFilesAreTheSameWhenEveryInvocationIsShort(t *testing.T) {
	k := kit.New(t, jobs())
	k.Runtime().Drain() // as on a platform whose deadline is always near
	id := k.Submit(Kind, Args{CheckpointEvery: 1000})
	calls := k.Drain()
	result(t, k, id)
	if attempt := k.Job(id).Attempt; calls < zipCodes/stride || attempt != 1 {
		t.Errorf("%d calls in %d attempts, want a call for each %d rows and 1 attempt", calls, attempt, stride)
	}
}

// cutContext is cancelled when it has been asked a number of times.
type cutContext struct {
	context.Context

	cancel context.CancelCauseFunc
	left   int
}

func (c *cutContext) Err() error {
	if c.left--; c.left < 0 {
		c.cancel(errors.New("cut off"))
	}
	return c.Context.Err()
}

func TestFilesAreTheSameWhereverTheJobIsCutOff(t *testing.T) {
	// Each number is the strides of one attempt; the attempt after the last succeeds. A checkpoint
	// is due after 40, 80, ...
	for _, strides := range [][]int{{0}, {1}, {39}, {40}, {41}, {79, 1, 0, 41}, {841}, {100, 200, 300, 240, 1}} {
		reg, attempts := jobs(), 0
		reg.Use(func(ctx context.Context, _ functions.Info, next func(context.Context) error) error {
			if attempts++; attempts > len(strides) {
				return next(ctx)
			}
			inner, cancel := context.WithCancelCause(ctx)
			defer cancel(nil)
			return next(&cutContext{inner, cancel, strides[attempts-1]})
		})
		k := kit.New(t, reg)
		id := k.Submit(Kind, Args{}, functions.MaxAttempts(functions.Unlimited))
		k.Wait(id)
		result(t, k, id)
	}
}

func TestPacedJobTakesItsTimeAndStopsWhenCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := kit.New(t, jobs(), kit.WallClock())
		begin := time.Now()
		id := k.Submit(Kind, Args{PaceMS: 60_000})
		k.Wait(id)
		result(t, k, id)
		if took := time.Since(begin); took < time.Minute-time.Second || took > time.Minute+time.Second {
			t.Errorf("it took %v, want a minute", took)
		}
		id = k.Submit(Kind, Args{PaceMS: 600_000})
		time.AfterFunc(time.Minute, func() {
			if _, err := k.Client().Cancel(context.WithoutCancel(t.Context()), id, "enough"); err != nil {
				t.Error(err)
			}
		})
		k.Drain()
		if info := k.RequireState(id, store.Cancelled); info.Reason != "enough" || len(info.Outputs) != 0 {
			t.Errorf("reason = %q, outputs = %v, want %q and none", info.Reason, info.Outputs, "enough")
		}
	})
}

func TestBadArgumentsFailAtOnce(t *testing.T) {
	k := kit.New(t, jobs())
	for text, args := range map[string]Args{
		"checkpoint_every is -1": {CheckpointEvery: -1},
		"pace_ms is -5":          {PaceMS: -5},
		"pace_ms is 600001":      {PaceMS: 600_001},
	} {
		id := k.Submit(Kind, args)
		if calls := k.Drain(); calls != 1 {
			t.Errorf("%+v: %d calls, want 1", args, calls)
		}
		k.RequireFailed(id, text)
	}
}

// The search must find what a comparison with every airport finds. No result may depend on the last
// bits of a float: the nearest airport is nearer than the second by a margin, and no distance is at
// a rounding edge.
func TestSearchEqualsComparingWithEveryAirport(t *testing.T) {
	if testing.Short() {
		t.Skip("142 million distances")
	}
	data, err := load()
	if err != nil {
		t.Fatal(err)
	}
	if len(data.zipCodes) != zipCodes || len(data.airports) != airports {
		t.Fatalf("%d ZIP codes and %d airports, want %d and %d", len(data.zipCodes), len(data.airports), zipCodes, airports)
	}
	length := func(chordSquared float64) float64 { return 2 * 6371.0088 * math.Asin(math.Sqrt(chordSquared)/2) }
	lead, rounding := math.Inf(1), math.Inf(1)
	for i := range data.zipCodes {
		zip, best, second := &data.zipCodes[i], math.Inf(1), math.Inf(1)
		var want *place
		for k := range data.airports {
			switch d := chordSquared(zip, &data.airports[k]); {
			case d < best:
				best, second, want = d, best, &data.airports[k]
			case d < second:
				second = d
			}
		}
		if got, km := data.nearest(zip); got != want || km != kilometres(best) {
			t.Fatalf("nearest to %s = %s at %g km, want %s at %g km", zip.row[0], got.row[0], km, want.row[0], kilometres(best))
		}
		km := length(best)
		lead = min(lead, length(second)-km)
		rounding = min(rounding, math.Abs(km*10-math.Floor(km*10)-0.5)/10)
	}
	const safe = 1e-8 // kilometres; a thousand times the error of float64 at these distances
	if lead < safe || rounding < safe {
		t.Errorf("smallest lead %g km, smallest distance from a rounding edge %g km, want %g or more", lead, rounding, safe)
	}
}

func TestKnownDistances(t *testing.T) {
	for _, test := range []struct {
		name                   string
		lat1, lon1, lat2, lon2 float64
		want                   string
	}{
		{"the same place", 41.98, -87.9, 41.98, -87.9, "0.0"},
		{"a degree of a meridian", 0, 0, 1, 0, "111.2"},
		{"a degree of the equator", 0, 0, 0, 1, "111.2"},
		{"pole to pole", 90, 17, -90, -60, "20015.1"},
		{"across the date line", 0, 179.5, 0, -179.5, "111.2"},
		{"around the pole", 89.5, 0, 89.5, 180, "111.2"},
		{"JFK to LAX", 40.63975111, -73.77892556, 33.94253611, -118.4080744, "3974.2"},
		{"BOS to HNL", 42.3643475, -71.00517917, 21.31869111, -157.9224072, "8186.3"},
	} {
		t.Run(test.name, func(t *testing.T) {
			a, b := newPlace(test.lat1, test.lon1, nil), newPlace(test.lat2, test.lon2, nil)
			if got := decimal(kilometres(chordSquared(&a, &b))); got != test.want {
				t.Errorf("distance = %s km, want %s", got, test.want)
			}
		})
	}
}

func TestMeansAreRoundedHalfUp(t *testing.T) {
	states := map[string]state{}
	for name, distances := range map[string][]float64{"B": {0.1, 0.2}, "A": {0, 0, 0.1}, "C": {100.5}} {
		for _, km := range distances {
			states[name] = states[name].plus(km)
		}
	}
	var out strings.Builder
	if err := writeStates(&out, states); err != nil {
		t.Fatal(err)
	}
	if want := "state,zip_codes,mean_km,max_km\nA,3,0.0,0.1\nB,2,0.2,0.2\nC,1,100.5,100.5\n"; out.String() != want {
		t.Errorf("by-state.csv = %q, want %q", &out, want)
	}
}
