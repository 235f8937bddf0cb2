package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The linker leaves out methods that nobody calls, until a package calls methods by names that it only learns at run
// time, as text/template does: then it keeps all of every type, and an SDK has many. So a template anywhere, or a build
// without the tag grpcnotrace, makes the program half as large again, and slower to start.
func TestTheProgramStaysSmall(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds the program")
	}
	const most = 24 << 20
	program := filepath.Join(t.TempDir(), "bootstrap")
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags=-s -w -dumpdep", "-tags=lambda.norpc,grpcnotrace", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	out, err := build.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %.4000s", err, out)
	}
	info, err := os.Stat(program)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%.1f MB", float64(info.Size())/1e6)
	if info.Size() > most {
		t.Errorf("the program has %d bytes, at most %d are allowed", info.Size(), most)
	}
	for line := range strings.Lines(string(out)) {
		// Methods of reflect's own types, and what embeds one, are only marked when something else is.
		if caller, _, ok := strings.Cut(line, " <ReflectMethod>"); ok && !strings.Contains(caller, " -> ") {
			t.Errorf("%s calls methods by name, so that the linker keeps all methods of all types", strings.TrimSpace(caller))
			return
		}
	}
}
