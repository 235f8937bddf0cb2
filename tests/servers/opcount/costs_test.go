package opcount

import (
	"os"
	"strings"
	"testing"
)

const (
	document = "../../../infra/COSTS.md"
	begin    = "<!-- Between these marks the text is written by: cd tests/servers && go test -run Costs ./opcount -update -->\n"
	end      = "<!-- until here -->\n"
)

// What the document says follows from what was measured, and from the prices.
func TestCosts(t *testing.T) {
	want := render(func(store string) map[string]Measured { return load(t, store) })
	data, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(data), begin)
	got, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatalf("%s has lost the marks %q and %q", document, begin, end)
	}
	if *update {
		if err := os.WriteFile(document, []byte(before+begin+want+end+after), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got != want {
		t.Errorf("%s is not what was measured; run go test -run Costs ./opcount -update", document)
	}
}

// A bill has prices for all of its lines, and quantities that were measured and not left out.
func TestBillsAreWhole(t *testing.T) {
	counts := func(store string) map[string]Measured { return load(t, store) }
	used := map[string]bool{}
	for _, bill := range append(append(bills(counts), idle(counts)...), handlerBills()...) {
		for _, l := range bill.Lines {
			p, ok := prices[l.Price]
			if used[l.Price] = true; !ok || l.Quantity <= 0 || p.Per <= 0 || p.Source == "" || p.Date == "" || p.Unit == "" {
				t.Errorf("%s: %+v at %+v", bill.What, l, p)
			}
		}
	}
	for key := range prices {
		if !used[key] {
			t.Errorf("nobody pays for %s", key)
		}
	}
}

// The sums, done once by hand: 6 write units, 1 read unit, 1.2 requests to SQS, a tenth of a call and 2,500 GB-seconds.
func TestABillByHand(t *testing.T) {
	const want = 6*0.625 + 1*0.125 + 1.2*0.40 + 0.1*0.20 + 2500*0.0000133334
	got := bills(func(store string) map[string]Measured { return load(t, store) })[0].Total()
	if d := got - want; d > 0.001 || d < -0.001 {
		t.Errorf("a million plain jobs on AWS cost %.4f dollars, by hand %.4f", got, want)
	}
}
