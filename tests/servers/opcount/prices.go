package opcount

// Price is what a unit of something costs, in US dollars, at list prices, without free tiers.
type Price struct {
	What   string
	Unit   string
	Per    float64 // dollars for one Unit
	Date   string  // as of when
	Source string
}

// memory is the source of a price that the author knew and did not find on a page to cite.
const memory = "from memory of the price list; check before you rely on it"

// prices are by region: AWS us-east-1, Google us-central1, Azure East US.
var prices = map[string]Price{
	"wru":       {"DynamoDB on demand, writes", "million write units", 0.625, "2025-07-21", "https://airbyte.com/data-engineering-resources/dynamodb-pricing"},
	"rru":       {"DynamoDB on demand, reads", "million read units", 0.125, "2025-07-21", "https://airbyte.com/data-engineering-resources/dynamodb-pricing"},
	"sqs":       {"SQS standard", "million requests", 0.40, "2026-03-14", "https://cloudburn.io/blog/amazon-sqs-pricing"},
	"lambda":    {"Lambda requests", "million requests", 0.20, "2026", "https://git.mcrn.ar/mariano/lambda_local_runner (lambda-13-cost.md)"},
	"lambdaGBs": {"Lambda duration, arm64", "GB-second", 0.0000133334, "2026", "https://git.mcrn.ar/mariano/lambda_local_runner (lambda-13-cost.md)"},
	"ebs":       {"EventBridge Scheduler", "million invocations", 1.00, "2026-11", memory},
	"alarm":     {"CloudWatch alarm", "alarm and month", 0.10, "2026-11", memory},
	"sfn":       {"Step Functions Standard", "1,000 state transitions", 0.025, "page as stored, undated", "https://aws.amazon.com/step-functions/pricing/"},
	"sfnx":      {"Step Functions Express, requests", "million requests", 1.00, "2026-03-14", "https://www.wring.co/blog/aws-step-functions-pricing-guide"},
	"sfnxGBs":   {"Step Functions Express, duration", "GB-second", 0.00001667, "2026-03-14", "https://www.wring.co/blog/aws-step-functions-pricing-guide"},

	"fsRead":      {"Firestore reads", "100,000 documents", 0.03, "2025", "https://airbyte.com/data-engineering-resources/google-firestore-pricing"},
	"fsWrite":     {"Firestore writes", "100,000 documents", 0.09, "2025", "https://airbyte.com/data-engineering-resources/google-firestore-pricing"},
	"fsDelete":    {"Firestore deletes, its own expiry too", "100,000 documents", 0.01, "2026-11", memory},
	"pubsub":      {"Pub/Sub, 1 KB at least for each publish and each delivery", "TiB", 40, "2026-11", memory},
	"run":         {"Cloud Run requests", "million requests", 0.40, "2026-11", memory},
	"runCPU":      {"Cloud Run CPU, while requests are served", "vCPU-second", 0.000024, "page as stored, undated", "https://cloud.google.com/run/pricing"},
	"runMem":      {"Cloud Run memory, while requests are served", "GiB-second", 0.0000025, "2026-11", memory},
	"cloudsched":  {"Cloud Scheduler", "job and month", 0.10, "2026-11", memory},
	"cosmos":      {"Cosmos DB serverless", "million RU", 0.25, "2026-11", memory},
	"vcore":       {"Cosmos DB for MongoDB vCore, M30, no high availability", "month", 180, "2026-11", memory + "; to the nearest ten"},
	"servicebus":  {"Service Bus Standard, base, with 13 million operations", "month", 10, "2026-11", memory},
	"servicebusX": {"Service Bus Standard, beyond", "million operations", 0.80, "2026-11", memory},
	"acaCPU":      {"Container Apps CPU, active", "vCPU-second", 0.000024, "2026-11", memory},
	"acaMem":      {"Container Apps memory, active", "GiB-second", 0.000003, "2026-11", memory},
	"server":      {"a server of one's own, 2 vCPU and 4 GB", "month", 20, "2026-11", "assumed"},
}
