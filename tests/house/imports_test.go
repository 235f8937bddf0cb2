package house

import (
	"slices"
	"strings"
	"testing"
)

// An arrow of the house that must not exist: a package below one of from imports something below one of to.
type arrow struct {
	from, except, to []string
	also             []string // packages below to that may be imported
	why              string
}

// What localdev and its command open the store and the bucket with. None of these links the SDK of a cloud.
var localDrivers = below(driversDir, driversDir+"/sqlite", driversDir+"/sql", driversDir+"/mem", driversDir+"/files")

var ours = []string{module}

// The same arrows stand in .golangci.yml; here the compiler's own list of imports decides.
var forbidden = []arrow{
	{from: []string{"pubsubq", "blobout"}, to: ours, except: []string{"pubsubq", "blobout"}, why: "pubsubq and blobout import nothing of ours"},
	{from: []string{"pubsubq"}, to: []string{module + "/blobout", "gocloud.dev/docstore", "gocloud.dev/blob"}, why: "pubsubq imports gocloud pubsub only"},
	{from: []string{"blobout"}, to: []string{module + "/pubsubq", "gocloud.dev/docstore", "gocloud.dev/pubsub"}, why: "blobout imports gocloud blob only"},
	{from: []string{"store"}, to: ours, except: []string{"store/internal", "store/sqldocstore"}, why: "store imports nothing of ours but its machinery; its driver only itself"},
	{from: []string{"store"}, to: []string{"gocloud.dev/pubsub", "gocloud.dev/blob"}, why: "store imports gocloud docstore only"},
	{from: []string{"functions"}, to: below("localdev", "infra", "tests"), why: "these import functions"},
	{from: []string{"functions"}, to: below("store/sqldocstore"), why: "drivers are chosen by main"},
	{from: []string{"pubsubq/natspubsub", "pubsubq/rabbitpubsub", "pubsubq/servicebus", "pubsubq/pubsubpull"},
		to: ours, except: []string{"pubsubq/keep"}, why: "a gocloud driver knows nothing of Piecework"},
	{from: []string{"localdev"}, to: below("infra", "tests"), also: localDrivers, why: "targets and tests are above it"},
	{from: []string{"infra"}, to: below("localdev", "tests"), why: "localdev is for laptops and tests"},
}

func below(names ...string) []string {
	var paths []string
	for _, name := range names {
		paths = append(paths, module+"/"+name)
	}
	return paths
}

func TestImportsFollowTheArrows(t *testing.T) {
	for _, p := range packages(t) {
		for _, rule := range forbidden {
			if !under(p.short(), rule.from) {
				continue
			}
			for _, imported := range p.Imports {
				own := strings.TrimPrefix(imported, module+"/")
				if under(imported, rule.to) && !slices.Contains(rule.also, imported) && !(under(own, rule.except) && sameTop(own, p.short())) {
					t.Errorf("%s imports %s: %s", p.short(), imported, rule.why)
				}
			}
		}
		if top := p.short(); top == "functions" || top == "store" {
			for _, imported := range p.Imports {
				if strings.HasPrefix(imported, module+"/"+top+"/") && !strings.Contains(imported, "/internal") {
					t.Errorf("%s imports its subpackage %s", top, imported)
				}
			}
		}
	}
}

// The SDK of each cloud, and the drivers that bring it.
var clouds = map[string][]string{
	"AWS":     {"github.com/aws/aws-sdk-go-v2", "gocloud.dev/docstore/awsdynamodb", "gocloud.dev/pubsub/awssnssqs", "gocloud.dev/blob/s3blob"},
	"Google":  {"cloud.google.com/go", "gocloud.dev/docstore/gcpfirestore", "gocloud.dev/pubsub/gcppubsub", "gocloud.dev/pubsub/gcppubsubv2", "gocloud.dev/blob/gcsblob"},
	"Azure":   {"github.com/Azure", "gocloud.dev/pubsub/azuresb", "gocloud.dev/blob/azureblob"},
	"MongoDB": {"go.mongodb.org", "gocloud.dev/docstore/mongodocstore"},
	"others":  {"gocloud.dev/pubsub/kafkapubsub", "gocloud.dev/pubsub/natspubsub", "gocloud.dev/pubsub/rabbitpubsub"},
}

func TestCloudDriversAreImportedByMainsOnly(t *testing.T) {
	for _, p := range packages(t) {
		if p.Name == "main" || isDriver(p) || under(p.short(), []string{"tests"}) {
			continue
		}
		for cloud, paths := range clouds {
			for _, imported := range p.Imports {
				if under(imported, paths) {
					t.Errorf("%s imports %s: drivers (here: %s) are chosen by main and drivers packages", p.short(), imported, cloud)
				}
			}
		}
	}
}

// The test kit is the only package of the product that imports testing, and no other package of the product imports it.
func TestProductionDoesNotImportTesting(t *testing.T) {
	testing := []string{"testing", "net/http/httptest", "pgregory.net/rapid", "github.com/testcontainers", module + "/localdev/kit"}
	for _, p := range packages(t) {
		if under(p.short(), []string{"localdev/kit", "tests"}) {
			continue
		}
		for _, imported := range p.Imports {
			if under(imported, testing) {
				t.Errorf("%s imports %s, which is for tests", p.short(), imported)
			}
		}
	}
}

// isDriver reports whether a package is about one service, such as infra/drivers/aws. What these share is in
// infra/drivers itself, which links no service's SDK. Drivers below pubsubq are about one service each, but for those
// that link no SDK.
func isDriver(p listed) bool {
	if sdkFree := []string{"pubsubq", "pubsubq/keep", "pubsubq/memqueue"}; slices.Contains(sdkFree, p.short()) {
		return false
	}
	return under(p.short(), []string{driversDir, "pubsubq"}) && p.short() != driversDir
}

const driversDir = "infra/drivers"

// The package of a service brings its SDK into every binary that imports it, so only mains and drivers import it. localdev
// has the few that bring none.
func TestDriversPackagesAreImportedByMainsOnly(t *testing.T) {
	var drivers []string
	for _, p := range packages(t) {
		if isDriver(p) && !strings.Contains(p.short(), "/internal/") {
			drivers = append(drivers, p.ImportPath)
		}
	}
	if len(drivers) == 0 {
		t.Errorf("there is no package below %s: this test no longer finds what it is about", driversDir)
	}
	for _, p := range packages(t) {
		for _, imported := range p.Imports {
			local := under(p.short(), []string{"localdev"}) && slices.Contains(localDrivers, imported)
			if slices.Contains(drivers, imported) && p.Name != "main" && !local && !isDriver(p) && !under(p.short(), []string{"tests"}) {
				t.Errorf("%s imports %s, but is neither a main package nor a driver", p.short(), imported)
			}
		}
	}
}

// under reports whether a path is one of the given ones or below it.
func under(path string, tops []string) bool {
	return slices.ContainsFunc(tops, func(top string) bool {
		return path == top || strings.HasPrefix(path, top+"/")
	})
}

// sameTop reports whether two short paths lie below the same folder at the top.
func sameTop(a, b string) bool {
	topA, _, _ := strings.Cut(a, "/")
	topB, _, _ := strings.Cut(b, "/")
	return topA == topB
}
