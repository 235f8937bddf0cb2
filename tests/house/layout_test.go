package house

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// What may lie at the top: the folders of the house, and the customary small files.
var topLevel = []string{
	"functions", "store", "blobout", "pubsubq", "localdev", "infra", "tests",
	"go.mod", "go.sum", "README.md", "LICENSE", "CONTRIBUTING.md", "CHANGELOG.md",
	".ci", ".golangci.yml", ".gitignore", ".gitattributes",
}

func TestTopLevelHoldsWhatBelongsThere(t *testing.T) {
	seen := map[string]bool{}
	for _, name := range files(t) {
		top, _, _ := strings.Cut(name, "/")
		if !seen[top] && !slices.Contains(topLevel, top) {
			t.Errorf("%s does not belong at the top of the repository", top)
		}
		seen[top] = true
	}
	for _, name := range []string{
		"functions", "store", "blobout", "pubsubq", "localdev", "infra", "tests", "go.mod", "go.sum", "README.md", "LICENSE",
	} {
		if !seen[name] {
			t.Errorf("%s is missing at the top of the repository", name)
		}
	}
}

// Heavy dependencies of tests live in nested modules below tests; nothing else is a module of its own.
func TestNestedModulesLieBelowTests(t *testing.T) {
	for _, name := range files(t) {
		if strings.HasSuffix(name, "/go.mod") && !strings.HasPrefix(name, "tests/") && !strings.HasPrefix(name, ".ci/tools/") {
			t.Errorf("%s: a nested module belongs below tests", name)
		}
	}
}

// Where a package is fetched from, and where a checkout lies, is each machine's own business. The names are put
// together here so that this file does not hold them.
var (
	registryHost = regexp.MustCompile(`(?i)\b(` + strings.Join([]string{
		"proxy[.]go" + "lang[.]org", "sum[.]go" + "lang[.]org", "goproxy[.](io|cn)", "registry[.]npm" + "js[.]org",
		"registry[.]yarn" + "pkg[.]com", "deb[.]deb" + "ian[.]org", "security[.]deb" + "ian[.]org", "pypi[.]" + "org",
		"static[.]crates[.]" + "io", "index[.]crates[.]" + "io", "repo1?[.]maven[.]" + "(apache[.])?org",
	}, "|") + `)\b`)
	machinePath = regexp.MustCompile(`(?m)(^|[\s"'` + "`" + `=(:,])/(work|root|home|Users)/[A-Za-z0-9._-]+`)
)

func TestNoFileNamesARegistryOrAMachinesPath(t *testing.T) {
	patterns := []*regexp.Regexp{registryHost, machinePath}
	for _, host := range configuredProxies(t) {
		patterns = append(patterns, regexp.MustCompile(`\b`+regexp.QuoteMeta(host)+`\b`))
	}
	for _, name := range files(t) {
		text := read(t, name)
		if bytes.IndexByte(text, 0) >= 0 {
			continue // binary
		}
		for _, pattern := range patterns {
			if at := pattern.FindIndex(text); at != nil {
				t.Errorf("%s:%d: %q belongs to one machine", name, 1+bytes.Count(text[:at[0]], []byte("\n")), text[at[0]:at[1]])
			}
		}
	}
}

func TestThePatternsFindWhatTheyShould(t *testing.T) {
	for _, text := range []string{"https://proxy.go" + "lang.org/x", "see /ro" + "ot/go/pkg", "PATH=/ho" + "me/me/bin", "\"/wo" + "rk/main\""} {
		if !registryHost.MatchString(text) && !machinePath.MatchString(text) {
			t.Errorf("nothing is found in %q", text)
		}
	}
	for _, text := range []string{"golang.org/x/sync v0.24.0", "https://go.dev/work/", "homework/main", "/usr/lib/postgresql/*/bin", "a network/root/x"} {
		if registryHost.MatchString(text) || machinePath.MatchString(text) {
			t.Errorf("%q is harmless", text)
		}
	}
}

// configuredProxies returns the hosts that this machine's Go fetches modules from.
func configuredProxies(t *testing.T) []string {
	t.Helper()
	out, err := run(nil, "go", "env", "GOPROXY")
	if err != nil {
		t.Fatal(err)
	}
	var hosts []string
	for _, match := range regexp.MustCompile(`https?://([^/,|:\s]+)`).FindAllStringSubmatch(string(out), -1) {
		if match[1] != "localhost" && match[1] != "127.0.0.1" {
			hosts = append(hosts, match[1])
		}
	}
	return hosts
}
