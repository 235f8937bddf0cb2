package wire

import (
	"bytes"
	"encoding/json"
	"hash/crc32"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
)

// DynamoDB starts a proxy before a server of DynamoDB's API. It asks for the consumed capacity of each request, of the
// indexes too, in units as Amazon defines them: for a write 1 per KB, rounded up, and as much for each index entry that is
// made, changed or removed (a changed key counts twice); for a strongly consistent read 1 per 4 KB, an eventually
// consistent one half.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html and
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html#GSI.ThroughputConsiderations
func DynamoDB(tb testing.TB, server string, opts Options) *Proxy {
	tb.Helper()
	p := &Proxy{opts: opts}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { p.dynamodb(w, r, server) }))
	tb.Cleanup(s.Close)
	p.URL = s.URL
	return p
}

// throttles are the ways in which DynamoDB says that it was asked for too much.
var throttles = []string{
	`{"__type":"com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException","message":"The level of configured provisioned throughput for the table was exceeded."}`,
	`{"__type":"com.amazon.coral.availability#ThrottlingException","message":"Rate of requests exceeds the allowed throughput."}`,
	`{"__type":"com.amazonaws.dynamodb.v20120810#RequestLimitExceeded","message":"Throughput exceeds the current throughput limit for your account."}`,
}

func (p *Proxy) dynamodb(w http.ResponseWriter, r *http.Request, server string) {
	_, op, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	var req map[string]json.RawMessage
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	data := strings.HasSuffix(op, "Item") || op == "Query"
	if data {
		if n, no := p.refuse(op); no {
			p.throttle(w, op, n, req)
			return
		}
		req["ReturnConsumedCapacity"] = json.RawMessage(`"INDEXES"`)
	}
	status, body, err := post(r, server, req)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	if data {
		p.add(op, consumed(op, req, body))
	}
	answer(w, status, body)
}

// answer answers with the checksum that the SDK looks at.
func answer(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.Header().Set("X-Amz-Crc32", strconv.FormatUint(uint64(crc32.ChecksumIEEE(body)), 10))
	w.WriteHeader(status)
	_, _ = w.Write(body) // if that fails, the client has gone
}

// throttle refuses a request. Every other bulk read is answered, with nothing read.
func (p *Proxy) throttle(w http.ResponseWriter, op string, n int, req map[string]json.RawMessage) {
	if op == "BatchGetItem" && n%2 == 0 {
		answer(w, http.StatusOK, []byte(`{"Responses":{},"UnprocessedKeys":`+string(req["RequestItems"])+`}`))
		return
	}
	answer(w, http.StatusBadRequest, []byte(throttles[n%len(throttles)]))
}

// post passes a request on. Its signature no longer fits, which emulators do not look at.
func post(r *http.Request, server string, req map[string]json.RawMessage) (int, []byte, error) {
	body, err := json.Marshal(req)
	if err != nil {
		return 0, nil, err
	}
	out, err := http.NewRequestWithContext(r.Context(), http.MethodPost, server+"/", bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	for _, name := range []string{"Content-Type", "X-Amz-Target", "Authorization", "X-Amz-Date"} {
		out.Header.Set(name, r.Header.Get(name))
	}
	res, err := http.DefaultClient.Do(out)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	body, err = io.ReadAll(res.Body)
	return res.StatusCode, body, err
}

// capacity is what a request took.
type capacity struct {
	CapacityUnits          float64             `json:"CapacityUnits"`
	GlobalSecondaryIndexes map[string]capacity `json:"GlobalSecondaryIndexes"`
}

// consumed reads what a request took from its answer.
func consumed(op string, req map[string]json.RawMessage, body []byte) Count {
	var said struct {
		ConsumedCapacity json.RawMessage   `json:"ConsumedCapacity"`
		Items            []json.RawMessage `json:"Items"`
	}
	_ = json.Unmarshal(body, &said) // of an error there is nothing to count
	var all []capacity
	if json.Unmarshal(said.ConsumedCapacity, &all) != nil {
		var one capacity
		if json.Unmarshal(said.ConsumedCapacity, &one) == nil {
			all = []capacity{one}
		}
	}
	c := Count{Calls: 1, Items: 1}
	switch op {
	case "Query":
		c.Items = len(said.Items)
	case "BatchGetItem":
		var tables map[string]struct {
			Keys []json.RawMessage `json:"Keys"`
		}
		_ = json.Unmarshal(req["RequestItems"], &tables)
		c.Items = 0
		for _, t := range tables {
			c.Items += len(t.Keys)
		}
	}
	for _, k := range all {
		if op == "Query" || op == "BatchGetItem" || op == "GetItem" {
			c.ReadUnits += k.CapacityUnits
			continue
		}
		c.WriteUnits += k.CapacityUnits
		for _, x := range k.GlobalSecondaryIndexes {
			c.IndexUnits += x.CapacityUnits
		}
	}
	return c
}
