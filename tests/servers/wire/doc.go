// Package wire stands between a store's client and its server, on the store's own protocol: it counts what is asked, and
// refuses some of it as the service does that is asked for too much.
//
//	p := wire.DynamoDB(t, "http://127.0.0.1:8000", wire.Options{})
//	... open dynamodb://jobs?endpoint=p.URL ...
//	fmt.Println(p.Take())
//
// So what is counted is what a bill is made of, with all that the vendors' libraries add to it, and what is refused comes
// through their real error types.
package wire

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/bson"
)

// Options of a proxy.
type Options struct {
	// Refuse, if not nil, is asked for each request, and on MongoDB's protocol for each document of a write, whether the
	// service refuses it. It must be safe for concurrent use.
	Refuse func(op string) bool
	// Split, on MongoDB's protocol, answers a find with nothing and its documents with getMore, as Cosmos DB may. For one
	// read at a time.
	Split bool
	// RetryAfter, on MongoDB's protocol, is how long a refusal says to wait, as Cosmos DB does. Default 34ms.
	RetryAfter time.Duration
}

// Count is what was asked in one operation of a protocol.
type Count struct {
	Calls int `json:"calls"` // requests
	Items int `json:"items"` // documents that were written, returned or asked for by their ids
	// On DynamoDB: capacity units, as the server reports them.
	ReadUnits  float64 `json:"read_units,omitempty"`
	WriteUnits float64 `json:"write_units,omitempty"`
	// On DynamoDB: the part of WriteUnits that the indexes took.
	IndexUnits float64 `json:"index_units,omitempty"`
}

// Counts are counts by operation.
type Counts map[string]Count

// Sum adds up the counts of some operations.
func (c Counts) Sum(ops ...string) (sum Count) {
	for _, op := range ops {
		n := c[op]
		sum.Calls += n.Calls
		sum.Items += n.Items
		sum.ReadUnits += n.ReadUnits
		sum.WriteUnits += n.WriteUnits
		sum.IndexUnits += n.IndexUnits
	}
	return sum
}

// All adds up everything.
func (c Counts) All() Count { return c.Sum(slices.Collect(maps.Keys(c))...) }

// String writes the calls and items by operation.
func (c Counts) String() string {
	var parts []string
	for _, op := range slices.Sorted(maps.Keys(c)) {
		parts = append(parts, fmt.Sprintf("%s %d/%d", op, c[op].Calls, c[op].Items))
	}
	return strings.Join(parts, ", ")
}

// Proxy counts. What it passes to is the server's business to close.
type Proxy struct {
	URL string // or the address, as the driver wants it

	opts Options

	mu      sync.Mutex
	counts  Counts
	refused int
	held    bson.RawValue // documents of an answer that was split
	ns      string        // and whence they are
}

// Take returns what was counted since the last Take. What was refused is not counted.
func (p *Proxy) Take() Counts {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.counts
	p.counts = Counts{}
	return c
}

// Refused is how often something was refused so far.
func (p *Proxy) Refused() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.refused
}

func (p *Proxy) add(op string, c Count) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.counts == nil {
		p.counts = Counts{}
	}
	n := p.counts[op]
	p.counts[op] = Count{
		n.Calls + c.Calls, n.Items + c.Items, n.ReadUnits + c.ReadUnits, n.WriteUnits + c.WriteUnits, n.IndexUnits + c.IndexUnits,
	}
}

// refuse decides, and returns how many were refused before, which tells one kind of refusal from the next.
func (p *Proxy) refuse(op string) (n int, no bool) {
	if p.opts.Refuse == nil || !p.opts.Refuse(op) {
		return 0, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refused++
	return p.refused, true
}
