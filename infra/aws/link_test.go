package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The linker leaves out methods that nobody calls, until a package calls methods by names that it
// only learns at run time, as text/template does: then it keeps all of every type, and an SDK has
// many. So a template anywhere, or a build without the tag grpcnotrace, makes the program half as
// large again, and slower to start. Here is said which it was; tests/house holds all programs to
// their sizes.
func TestNothingIsCalledByName(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds the program")
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-buildvcs=false", "-tags=timetzdata,lambda.norpc,grpcnotrace",
		"-ldflags=-s -w -buildid= -dumpdep", "-o", filepath.Join(t.TempDir(), "bootstrap"), ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64", "GOFLAGS=")
	out, err := build.CombinedOutput()
	if err != nil {
		t.Fatalf("got %v: %.4000s, want no error", err, out)
	}
	if !strings.Contains(string(out), "main.main -> ") {
		t.Fatalf("the linker does not tell what needs what: %.1000s", out)
	}
	for line := range strings.Lines(string(out)) {
		// Where a method is called by name, the linker also marks methods of package reflect's own
		// types, which stand in lines as well. The culprit is no method of theirs.
		caller, _, ok := strings.Cut(line, " <ReflectMethod>")
		if ok && !strings.Contains(caller, " -> ") && !strings.Contains(caller, "reflect.") && !strings.Contains(caller, "addressableValue") {
			t.Fatalf("%s calls methods by name, so that the linker keeps all methods of all types", strings.TrimSpace(caller))
		}
	}
	if strings.Contains(string(out), "<ReflectMethod>") {
		t.Error("something calls methods by name, so that the linker keeps all methods of all types")
	}
}
