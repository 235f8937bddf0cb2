// Package opcount counts on the wire what the paths of a job's life ask of each store, and works out what a million jobs
// cost on each cloud.
//
//	go test -v -run Counts ./opcount            # measures, and prints the table
//	go test -run Counts ./opcount -update       # and keeps it in testdata
//	go test -run Costs ./opcount -update        # rewrites the tables of infra/COSTS.md
//
// The counts are taken by package wire, on DynamoDB's, MongoDB's, Firestore's and PostgreSQL's own protocols, and by
// package counting at the driver of SQLite and of the store in memory. Prices.go has the prices, each with its source; what
// things cost is worked out from both, and a test holds the document to it.
package opcount
