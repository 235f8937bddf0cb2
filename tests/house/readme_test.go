package house

import (
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// pages are the documents whose blocks are checked.
var pages = []string{"README.md", "CONTRIBUTING.md", "functions/DESIGN.md", "infra/README.md"}

// block is a fenced block of a document.
type block struct {
	page     string
	heading  string // the nearest heading above
	language string
	prelude  string // the hidden comment "<!-- go ... -->" right above the fence: what a fragment takes as given
	text     string
	line     int
}

// blocks returns the fenced blocks of a Markdown text.
func blocks(page, text string) []block {
	var all []block
	var open *block
	var heading, prelude string
	inPrelude := false
	for i, line := range strings.Split(text, "\n") {
		switch {
		case open != nil && strings.HasPrefix(line, "```"):
			all = append(all, *open)
			open, prelude = nil, ""
		case open != nil:
			open.text += line + "\n"
		case strings.HasPrefix(line, "```"):
			open = &block{page: page, heading: heading, language: strings.TrimPrefix(line, "```"), prelude: prelude, line: i + 1}
		case inPrelude && strings.HasPrefix(line, "-->"):
			inPrelude = false
		case inPrelude:
			prelude += line + "\n"
		case line == "<!-- go":
			inPrelude, prelude = true, ""
		case strings.HasPrefix(line, "#"):
			heading, prelude = strings.TrimSpace(strings.TrimLeft(line, "#")), ""
		case strings.TrimSpace(line) != "":
			prelude = ""
		}
	}
	return all
}

// at tells a reader where a block is.
func (b block) at() string { return fmt.Sprintf("%s:%d, under %q", b.page, b.line, b.heading) }

// blocksOf returns the blocks of a page in these languages.
func blocksOf(t *testing.T, page string, languages ...string) []block {
	t.Helper()
	return slices.DeleteFunc(blocks(page, string(read(t, page))), func(b block) bool {
		return !slices.Contains(languages, b.language)
	})
}

// allBlocks returns the blocks of all pages in these languages.
func allBlocks(t *testing.T, languages ...string) []block {
	t.Helper()
	var all []block
	for _, page := range pages {
		all = append(all, blocksOf(t, page, languages...)...)
	}
	return all
}

// A page for newcomers is short.
func TestReadmeIsShort(t *testing.T) {
	if lines := strings.Count(string(read(t, "README.md")), "\n"); lines > 200 {
		t.Errorf("README.md has %d lines, want at most 200: the rest belongs into package docs and infra/README.md", lines)
	}
}

// Every Go block compiles. A block without a package clause is a fragment: declarations, or statements. Its imports
// are found by name; what else it takes as given stands in a comment above it that readers of the page do not see:
//
//	<!-- go
//	var client *functions.Client
//	-->
func TestGoBlocksOfThePagesCompile(t *testing.T) {
	found := allBlocks(t, "go")
	if len(found) == 0 || found[0].page != "README.md" {
		t.Error("README.md has no Go block")
	}
	check := newChecker(t)
	for _, b := range found {
		for _, problem := range check.snippet(b.prelude, b.text) {
			t.Errorf("block at %s does not compile: %s", b.at(), problem)
		}
	}
}

// The two blocks that .ci/run runs are there, in the form that it looks for.
func TestReadmeHasTheBlocksThatCIRuns(t *testing.T) {
	for heading, command := range map[string]string{
		"Run the tests":    "go test ./...",
		"Run the main job": "go run ./localdev/piecework demo",
	} {
		found := blocksOf(t, "README.md", "sh", "bash", "console", "")
		i := slices.IndexFunc(found, func(b block) bool { return b.heading == heading })
		if i < 0 {
			t.Errorf("README.md has no fenced block under %q", heading)
			continue
		}
		if !slices.ContainsFunc(commands(found[i].text), func(words []string) bool { return strings.Join(words, " ") == command }) {
			t.Errorf("the first block under %q does not hold the command %q", heading, command)
		}
	}
}

// Every command of the shell blocks is one that exists: a program of this repository with these subcommands and
// flags, or a tool that a reader has.
func TestShellBlocksOfThePagesExist(t *testing.T) {
	programs := &programs{t: t, dir: t.TempDir(), built: map[string]string{}}
	for _, b := range allBlocks(t, "sh", "bash", "console") {
		programs.at = "."
		for _, words := range commands(b.text) {
			if problem := programs.check(words); problem != "" {
				t.Errorf(`programs.check: got %s: %s: %s, want problem == ""`, b.at(), strings.Join(words, " "), problem)
			}
		}
	}
}

// commands splits a shell block into commands and these into words. It knows comments, prompts, continued lines,
// variables set in front, and the operators between commands: enough for a README.
func commands(text string) [][]string {
	text = strings.ReplaceAll(text, "\\\n", " ")
	var all [][]string
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.TrimPrefix(strings.TrimSpace(line), "$ ")
		if at := commentStart.FindStringIndex(line); at != nil {
			line = line[:at[0]]
		}
		for _, command := range regexp.MustCompile(`&&|\|\||[|;]| &$`).Split(line, -1) {
			words := strings.Fields(command)
			for len(words) > 0 && assignment.MatchString(words[0]) {
				words = words[1:]
			}
			if len(words) > 0 {
				all = append(all, words)
			}
		}
	}
	return all
}

var (
	commentStart = regexp.MustCompile(`(^|\s)#.*$`)
	assignment   = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*=`)
)

// tools are the programs that a reader is taken to have, besides go and this repository's own.
var tools = []string{
	"bash", "cat", "curl", "eval", "export", "git", "head", "jq", "kill", "ls", "mkdir", "rm", "sqlite3", "tail", "terraform", "wc",
}

// programs builds the commands of this repository and asks them for help.
type programs struct {
	t     *testing.T
	dir   string
	built map[string]string
	at    string // where the block has changed to
}

// check returns what is wrong with a command, or "".
func (p *programs) check(words []string) string {
	switch {
	case words[0] == "piecework" || strings.HasSuffix(words[0], "/piecework"):
		return p.help("localdev/piecework", words[1:])
	case words[0] == "go" && len(words) > 2 && words[1] == "run":
		return p.help(path.Join(p.at, words[2]), words[3:])
	case words[0] == "go" && len(words) > 1:
		return p.goCommand(words[1], words[2:])
	case words[0] == "cd" && len(words) == 2:
		p.at = path.Join(p.at, words[1])
		return missing(p.at)
	case words[0] == "bash" && len(words) > 1:
		return missing(path.Join(p.at, words[1]))
	case strings.Contains(words[0], "/"):
		return missing(path.Join(p.at, words[0]))
	case slices.Contains(tools, words[0]):
		return ""
	}
	return "no test knows this command; add it to tools if every reader has it"
}

// missing says that a file of this repository is not there.
func missing(file string) string {
	if exists(file) {
		return ""
	}
	return "there is no " + file
}

// goCommand checks that the packages of ours that a go command names exist.
func (p *programs) goCommand(name string, args []string) string {
	if !slices.Contains([]string{"test", "vet", "build", "get", "install", "generate", "mod", "tool", "version"}, name) {
		return "there is no such go command"
	}
	for _, arg := range args {
		own, ok := strings.CutPrefix(strings.SplitN(arg, "@", 2)[0], module+"/")
		if !ok {
			own, ok = strings.CutPrefix(arg, "./")
		}
		if ok && !exists(strings.TrimSuffix(strings.TrimSuffix(own, "..."), "/")) {
			return "there is no package " + own
		}
	}
	return ""
}

// help runs a program with --help after the subcommands, and looks for each flag in the answer.
func (p *programs) help(pkg string, args []string) string {
	binary, err := p.build(pkg)
	if err != nil {
		return err.Error()
	}
	var subcommands, flags []string
	for _, arg := range args {
		switch {
		case strings.HasPrefix(arg, "-") && strings.Trim(arg, "-") != "":
			name, _, _ := strings.Cut(arg, "=")
			flags = append(flags, strings.TrimLeft(name, "-"))
		case len(flags) == 0 && regexp.MustCompile(`^[a-z][a-z-]*$`).MatchString(arg):
			subcommands = append(subcommands, arg)
		}
	}
	cmd := exec.Command(binary, append(subcommands, "--help")...)
	cmd.Dir = p.dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "--help fails: " + err.Error() + "\n" + string(out)
	}
	for _, flag := range flags {
		word := regexp.MustCompile(`(^|[\s,\[])--?` + regexp.QuoteMeta(flag) + `\b`)
		if !word.Match(out) {
			return "--help does not know the flag -" + flag + "\n" + string(out)
		}
	}
	return ""
}

func (p *programs) build(pkg string) (string, error) {
	if binary, ok := p.built[pkg]; ok {
		return binary, nil
	}
	binary := filepath.Join(p.dir, strings.ReplaceAll(pkg, "/", "_"))
	absolute, err := filepath.Abs(binary)
	if err != nil {
		return "", err
	}
	if _, err := run(nil, "go", "build", "-o", absolute, "./"+pkg); err != nil {
		return "", err
	}
	if _, err := os.Stat(absolute); err != nil {
		return "", err // not a main package
	}
	p.built[pkg] = absolute
	return absolute, nil
}
