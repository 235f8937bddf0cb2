package main

import (
	"fmt"
	"testing"

	"github.com/piecework/piecework/tests/fault"
)

// ways are what may become of a write or a send.
var ways = []struct {
	name string
	d    decision
}{
	{"not applied, crash", decision{crashBefore: true}},
	{"applied, crash", decision{crashAfter: true}},
	{"applied, no answer", decision{fate: fault.Fate{How: fault.Lost}}},
	{"not applied, error", decision{fate: fault.Fate{How: fault.Refused}}},
	{"the store away", away},
}

// away lets a layer not answer for longer than a lease. Writes that are given up meanwhile are applied then.
var away = decision{fate: fault.Fate{How: fault.Late}, late: 25_000}

// Every write and send of every path goes wrong in every way, once. Whatever happens, the story ends as it should.
func TestEachWriteOfEachPathGoesWrong(t *testing.T) {
	t.Parallel()
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			for _, flavour := range []fault.Flavour{fault.Memory, fault.Dynamo, fault.Mongo, fault.Firestore} {
				s.climate.Flavour = flavour
				points := writesOf(t, s)
				for n, point := range points {
					for _, way := range ways {
						w := s.stage("")
						seen, layer, back := 0, "", int64(0)
						w.decide = func(_ *co, op fault.Op) decision {
							if op.Writes() || op.Layer == "user" {
								if seen++; seen == n+1 && way.d.late == 0 {
									return way.d
								} else if seen == n+1 {
									layer, back = op.Layer, w.now+way.d.late
								}
							}
							if op.Layer == layer && w.now < back {
								d := way.d
								d.late = back
								return d
							}
							return decision{}
						}
						finish(t, s, w, fmt.Sprintf("%v, point %d of %d (%s): %s", flavour, n+1, len(points), point, way.name))
					}
				}
			}
		})
	}
}

// writesOf plays a scenario undisturbed and names its writes and sends.
func writesOf(t *testing.T, s scenario) []string {
	t.Helper()
	var points []string
	w := s.stage("")
	w.decide = func(c *co, op fault.Op) decision {
		if op.Writes() || op.Layer == "user" {
			points = append(points, c.name+": "+op.Layer+" "+op.Verb)
		}
		return decision{}
	}
	finish(t, s, w, "undisturbed")
	if len(points) < 3 {
		t.Fatalf("only %d writes and sends: %v", len(points), points)
	}
	return points
}

// finish tells a story to its end and judges it.
func finish(t *testing.T, s scenario, w *world, what string) {
	t.Helper()
	s.tell(w)
	s.judge(w)
	w.close()
	for _, v := range w.oracle.found {
		t.Errorf("%s: violation of %s: %s", what, v.rule, v.text)
	}
}
