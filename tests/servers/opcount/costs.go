package opcount

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Line is a line of a bill.
type Line struct {
	Price    string // key of prices
	Quantity float64
	Why      string
}

// Bill is what something costs.
type Bill struct {
	What  string
	Lines []Line
}

// Total adds up a bill.
func (b Bill) Total() (sum float64) {
	for _, l := range b.Lines {
		sum += l.Quantity * prices[l.Price].Per
	}
	return sum
}

// The assumptions.
const (
	million      = 1e6
	handler      = 0.1   // seconds that the user's own code takes
	overhead     = 0.02  // seconds that Piecework adds to each job in the function: its requests to the store
	lambdaGB     = 0.125 // 128 MB
	runCPU       = 1.0   // of an instance that serves runAtOnce jobs at a time
	runGiB       = 0.5
	runAtOnce    = 10.0
	received     = 10.0           // messages that the function is given at once, under load
	sweeps       = 30 * 24 * 60.0 // in a month, one a minute
	sweepSeconds = 0.2
	queues       = 2.0                           // one of jobs, and submissions
	pollers      = 5.0                           // Lambda's, of each queue, when idle
	idlePolls    = queues * pollers * sweeps * 3 // each waits 20 seconds
	ruRead       = 1.0                           // of a document by its id, 1 KB
	ruWrite      = 10.0                          // of a document of 1 KB with three indexes, through the API for MongoDB
	ruQuery      = 3.0                           // of a query that finds nothing
	transitions  = 2.0                           // of a machine with one Task: to it, and from it
	expressGB    = 0.0625                        // the least that is charged
	kiB          = 1.0 / (1 << 30)               // in TiB
)

// perJob is a thousandth of what a call with a thousand jobs takes, or what a lone job takes.
func perJob(all map[string]Measured, batch bool) (m Measured, jobs float64) {
	if batch {
		return all[pathBatch], 1000
	}
	return all[pathPlain], 1
}

// dynamo is the part of a bill that the jobs' records make. Reads are strongly consistent; what else than bulk reads and
// writes a job asks for would be counted too.
func dynamo(all map[string]Measured, batch bool) []Line {
	m, jobs := perJob(all, batch)
	units := m.Wire.All()
	return []Line{
		{"wru", units.WriteUnits / jobs, fmt.Sprintf("%g units a job, %g of them for index entries", units.WriteUnits/jobs, units.IndexUnits/jobs)},
		{"rru", units.ReadUnits / jobs, fmt.Sprintf("%g unit a job", units.ReadUnits/jobs)},
		{"sqs", float64(m.Queue)/jobs + 2/received, fmt.Sprintf("%g sent a job; received and deleted by tens", float64(m.Queue)/jobs)},
		{"lambda", 1 / received, "ten jobs a call"},
		{"lambdaGBs", overhead * lambdaGB * million, "what Piecework adds to each job"},
	}
}

// bills are what a million plain jobs cost, without the user's own code.
func bills(counts func(store string) map[string]Measured) []Bill {
	plain := func(b bool) string {
		if b {
			return ", in calls of 1,000"
		}
		return ""
	}
	var all []Bill
	for _, batch := range []bool{false, true} {
		all = append(all, Bill{"AWS: Lambda, DynamoDB with its own expiry, SQS" + plain(batch), dynamo(counts("DynamoDB-ttl"), batch)})
	}
	swept := dynamo(counts("DynamoDB"), false)
	gone := counts("DynamoDB")[pathRemoval].Wire
	removal := gone.Sum("DeleteItem").WriteUnits
	swept = append(swept, Line{"wru", removal, fmt.Sprintf("%g units to remove it when its retention has passed", removal)},
		Line{"rru", gone["BatchGetItem"].ReadUnits, "a read before that"})
	all = append(all, Bill{"the same, removed by sweep", swept})

	fs, jobs := perJob(counts("Firestore-ttl"), false)
	all = append(all, Bill{"Google: Cloud Run, Firestore with its own expiry, Pub/Sub", []Line{
		{"fsWrite", 10 * float64(fs.Wire["Commit"].Items) / jobs, fmt.Sprintf("%d a job; index entries are free", fs.Wire["Commit"].Items)},
		{"fsRead", 10 * float64(fs.Wire["BatchGetDocuments"].Items) / jobs, fmt.Sprintf("%d a job", fs.Wire["BatchGetDocuments"].Items)},
		{"fsDelete", 10, "when its retention has passed"},
		{"pubsub", 2 * million * float64(fs.Driver.Messages) * kiB, "1 KB published and 1 KB delivered a job"},
		{"run", 1, "one push a job"},
		{"runCPU", overhead * runCPU / runAtOnce * million, "what Piecework adds to each job, ten at a time in an instance"},
		{"runMem", overhead * runGiB / runAtOnce * million, "likewise"},
	}})

	mg, jobs := perJob(counts("MongoDB-ttl"), false)
	ru := float64(mg.Wire["find"].Items)*ruRead + float64(mg.Wire.Sum("insert", "update").Items)*ruWrite
	bus := []Line{
		{"servicebusX", float64(mg.Queue) + 2, "sent, received and completed one by one; the first 13 million of a month are in the base price"},
		{"acaCPU", overhead * 0.5 / runAtOnce * million, "what Piecework adds to each job, ten at a time in half a core"},
		{"acaMem", overhead * 1.0 / runAtOnce * million, "likewise, 1 GiB"},
	}
	all = append(all,
		Bill{"Azure: Container Apps, Cosmos DB serverless, Service Bus", append([]Line{
			{"cosmos", ru / jobs, fmt.Sprintf("%g RU a job: %d read of %g, %d writes of %g (assumed)", ru/jobs, mg.Wire["find"].Items, ruRead,
				mg.Wire.Sum("insert", "update").Items, ruWrite)},
		}, bus...)},
		Bill{"Azure: Container Apps, Cosmos DB vCore, Service Bus", bus},
		Bill{"a server of one's own: SQLite or PostgreSQL", nil},
		Bill{"for comparison: Step Functions Standard", []Line{{"sfn", transitions * million / 1000, "a machine with one Task: to it, and from it"}}},
		Bill{"for comparison: Step Functions Express", []Line{
			{"sfnx", 1, "the same machine"}, {"sfnxGBs", handler * expressGB * million, "while it waits for the function"},
		}},
	)
	return all
}

// idle are what a month costs in which no job is submitted.
func idle(counts func(store string) map[string]Measured) []Bill {
	dyn := counts("DynamoDB-ttl")[pathIdle].Wire["Query"]
	fs := counts("Firestore-ttl")[pathIdle].Wire["RunQuery"]
	mg := counts("MongoDB-ttl")[pathIdle].Wire["find"]
	azure := []Line{
		{"servicebus", 1, "the base price"},
		{"acaCPU", sweeps * 60 * 0.5, "the one worker of half a core that stays by default, and sweeps"},
		{"acaMem", sweeps * 60 * 1, "likewise, a GiB"},
	}
	return []Bill{
		{"AWS", []Line{
			{"rru", sweeps * dyn.ReadUnits / million, fmt.Sprintf("%d queries a sweep, %g units", dyn.Calls, dyn.ReadUnits)},
			{"lambda", sweeps / million, "one call a sweep"},
			{"lambdaGBs", sweeps * sweepSeconds * lambdaGB, "its time"},
			{"ebs", sweeps / million, "the schedule"},
			{"sqs", idlePolls / million, "Lambda's long polling of two empty queues"},
			{"alarm", 2*queues + 2, "for each of two queues dead letters and the age of the oldest message; sweeps that fail or are missing"},
		}},
		{"Google", []Line{
			{"fsRead", sweeps * float64(fs.Items) / 1e5, fmt.Sprintf("%d queries a sweep; one that finds nothing is a read", fs.Calls)},
			{"run", sweeps / million, "one request a sweep"},
			{"runCPU", sweeps * sweepSeconds * runCPU, "its time"},
			{"runMem", sweeps * sweepSeconds * runGiB, "likewise"},
			{"cloudsched", 1, "the schedule"},
		}},
		{"Azure, Cosmos DB serverless", append([]Line{
			{"cosmos", sweeps * float64(mg.Calls) * ruQuery / million, fmt.Sprintf("%d queries a sweep of %g RU (assumed)", mg.Calls, ruQuery)},
		}, azure...)},
		{"Azure, Cosmos DB vCore", append([]Line{{"vcore", 1, "the smallest cluster for production"}}, azure...)},
		{"a server of one's own", []Line{{"server", 1, "whatever it does"}}},
		{"for comparison: Step Functions", nil},
	}
}

// handlers are what the user's own code costs, of a million jobs.
func handlerBills() []Bill {
	return []Bill{
		{"AWS Lambda, 128 MB, arm64", []Line{{"lambdaGBs", handler * lambdaGB * million, ""}}},
		{"AWS Lambda, 256 MB, arm64", []Line{{"lambdaGBs", handler * 2 * lambdaGB * million, ""}}},
		{"Cloud Run, 1 vCPU and 512 MiB, ten jobs at a time", []Line{
			{"runCPU", handler * runCPU / runAtOnce * million, ""}, {"runMem", handler * runGiB / runAtOnce * million, ""},
		}},
		{"Container Apps, half a vCPU and 1 GiB, ten jobs at a time", []Line{
			{"acaCPU", handler * 0.5 / runAtOnce * million, ""}, {"acaMem", handler * 1.0 / runAtOnce * million, ""},
		}},
	}
}

// render writes the tables of the document.
func render(counts func(store string) map[string]Measured) string {
	var b strings.Builder
	b.WriteString("### A million plain jobs, without your own code\n\n| where | dollars |\n|---|--:|\n")
	all := bills(counts)
	for _, bill := range all {
		fmt.Fprintf(&b, "| %s | %.2f |\n", bill.What, bill.Total())
	}
	b.WriteString("\nOf what these consist:\n\n| where | what | for each job | dollars |\n|---|---|---|--:|\n")
	lines(&b, all)
	b.WriteString("\n### Your own code, a million times 100 ms\n\n| where | dollars |\n|---|--:|\n")
	for _, bill := range handlerBills() {
		fmt.Fprintf(&b, "| %s | %.2f |\n", bill.What, bill.Total())
	}
	b.WriteString("\n### A month in which nothing is submitted\n\n| where | dollars |\n|---|--:|\n")
	months := idle(counts)
	for _, bill := range months {
		fmt.Fprintf(&b, "| %s | %.2f |\n", bill.What, bill.Total())
	}
	b.WriteString("\nOf what these consist:\n\n| where | what | how much | dollars |\n|---|---|---|--:|\n")
	lines(&b, months)
	b.WriteString("\n### What each path asks of the store\n\nOn the wire: requests/documents by operation. Units: DynamoDB's capacity units, read/written.\n")
	for _, store := range []string{"DynamoDB-ttl", "DynamoDB", "Firestore-ttl", "MongoDB-ttl", "PostgreSQL"} {
		title, own := strings.CutSuffix(store, "-ttl")
		if own {
			title += ", which deletes by itself"
		}
		fmt.Fprintf(&b, "\n%s:\n\n| path | on the wire | units | messages |\n|---|---|--:|--:|\n", title)
		measured := counts(store)
		for _, p := range paths {
			m, ok := measured[p.name]
			if !ok {
				continue
			}
			sum := m.Wire.All()
			units := ""
			if strings.HasPrefix(store, "DynamoDB") {
				units = fmt.Sprintf("%g/%g", sum.ReadUnits, sum.WriteUnits)
			}
			fmt.Fprintf(&b, "| %s | %v | %s | %d |\n", p.name, m.Wire, units, m.Driver.Messages)
		}
	}
	b.WriteString("\n### Prices\n\n| what | dollars | for a | as of | source |\n|---|--:|---|---|---|\n")
	for _, key := range slices.SortedFunc(maps.Keys(prices), func(x, y string) int { return strings.Compare(prices[x].What, prices[y].What) }) {
		p := prices[key]
		fmt.Fprintf(&b, "| %s | %g | %s | %s | %s |\n", p.What, p.Per, p.Unit, p.Date, p.Source)
	}
	return b.String()
}

func lines(b *strings.Builder, bills []Bill) {
	for _, bill := range bills {
		for _, l := range bill.Lines {
			fmt.Fprintf(b, "| %s | %s | %s | %.2f |\n", bill.What, prices[l.Price].What, l.Why, l.Quantity*prices[l.Price].Per)
		}
	}
}
