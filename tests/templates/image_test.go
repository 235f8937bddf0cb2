package templates

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"debug/elf"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// script runs infra/build.sh and returns the name and the sum that it prints.
func script(t *testing.T, args ...string) (name, sum string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, filepath.Join(infra, "build.sh"), args...).Output()
	if err != nil {
		t.Fatalf("build.sh %v: %v", args, err)
	}
	fields := strings.Fields(string(out))
	if len(fields) != 2 {
		t.Fatalf("build.sh %v prints %q, want a sum and a name", args, out)
	}
	return filepath.Join("..", "..", fields[1]), fields[0]
}

func TestZipIsWhatLambdaTakes(t *testing.T) {
	name, sum := script(t, "aws", "zip", "arm64")
	if _, again := script(t, "aws"); again != sum {
		t.Errorf("the second zip has the sum %s, the first %s", again, sum)
	}
	z, err := zip.OpenReader(name)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	if len(z.File) != 1 || z.File[0].Name != "bootstrap" || z.File[0].Mode().Perm() != 0o755 {
		t.Fatalf("the zip has %d files, the first %s with %v: want bootstrap alone, to be run", len(z.File), z.File[0].Name, z.File[0].Mode())
	}
	f, err := z.File[0].Open()
	if err != nil {
		t.Fatal(err)
	}
	program, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	header, err := elf.NewFile(bytes.NewReader(program))
	if err != nil || header.Machine != elf.EM_AARCH64 || header.Section(".interp") != nil {
		t.Errorf("the program is no static one for arm64: %v, %v", header, err)
	}
	checkNoPath(t, program)
}

// checkNoPath refuses a program that knows where it was built.
func checkNoPath(t *testing.T, program []byte) {
	t.Helper()
	here, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(program, []byte(here+"/")) {
		t.Errorf("the program holds the path %s: another folder would give other bytes", here)
	}
}

func TestScriptRefusesWhatItDoesNotKnow(t *testing.T) {
	for _, args := range [][]string{{}, {"ibm"}, {"aws", "rpm"}, {"aws", "zip", "386"}, {"aws", "zip", "arm64", "x"}} {
		out, err := exec.CommandContext(t.Context(), filepath.Join(infra, "build.sh"), args...).CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 2 || !strings.Contains(string(out), "usage: infra/build.sh") {
			t.Errorf("build.sh %v: %v, %s", args, err, out)
		}
	}
}

// The image holds the program and runs as nobody, in nothing but its own files.
func TestImageRunsInItsOwnFiles(t *testing.T) {
	name, sum := script(t, "selfhost", "image", runtime.GOARCH)
	if _, again := script(t, "selfhost", "image", runtime.GOARCH); again != sum {
		t.Errorf("the second image has the sum %s, the first %s", again, sum)
	}
	img := open(t, name)
	root := unpack(t, img)
	out, err := inside(t, root, []string{
		"PIECEWORK_STORE=sqlite:///var/lib/piecework/p.db", "PIECEWORK_QUEUES=jetstream://127.0.0.1:1/p.{queue}",
		"PIECEWORK_BLOBS=file:///var/lib/piecework/blobs",
	}, "/pieceworkd", "init")
	if err != nil || !strings.Contains(out, "is ready") {
		t.Errorf("init in the image: %v, %s", err, out)
	}
	if _, err := os.Stat(filepath.Join(root, "var/lib/piecework/p.db")); err != nil {
		t.Errorf("init in the image made no database: %v", err)
	}
	program, err := os.ReadFile(filepath.Join(root, "pieceworkd"))
	if err != nil {
		t.Fatal(err)
	}
	checkNoPath(t, program)
}

// What any program finds in such an image: authorities, zones, a user that is nobody, and two places to write.
func TestImageHasWhatProgramsLookFor(t *testing.T) {
	dir := t.TempDir()
	if err := build(".", filepath.Join(dir, "probe"), "./probe", "-tags", "timetzdata"); err != nil {
		t.Fatal(err)
	}
	pack := exec.CommandContext(t.Context(), "go", "run", "-C", filepath.Join("..", "..", ".ci", "tools", "pack"), ".",
		"image", filepath.Join(dir, "image.tar"), filepath.Join(dir, "probe"), runtime.GOARCH, "probe:latest")
	pack.Env = append(os.Environ(), "GOFLAGS=")
	if out, err := pack.CombinedOutput(); err != nil {
		t.Fatalf("pack.CombinedOutput: got %v: %s, want no error", err, out)
	}
	out, err := inside(t, unpack(t, open(t, filepath.Join(dir, "image.tar"))), []string{"SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"}, "/pieceworkd")
	if err != nil {
		t.Fatalf("got %v: %s, want no error", err, out)
	}
	var got map[string]any
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatalf("json.Unmarshal: got %v: %s, want no error", err, out)
	}
	want := map[string]any{
		"authorities": true, "noon": "14:00", "user": 65532.0,
		"writable": map[string]any{"/": false, "/etc": false, "/tmp": true, "/var/lib/piecework": true},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("in the image a program finds\n%v\nwant\n%v", got, want)
	}
}

// open reads an image as docker load does, and checks its sums and its configuration.
func open(t *testing.T, name string) v1.Image {
	t.Helper()
	img, err := tarball.ImageFromPath(name, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(img); err != nil {
		t.Fatal(err)
	}
	c, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if c.OS != "linux" || c.Architecture != runtime.GOARCH || c.Config.User != "65532:65532" || !reflect.DeepEqual(c.Config.Entrypoint, []string{"/pieceworkd"}) {
		t.Errorf("the image is configured as %+v", c)
	}
	return img
}

// unpack writes the files of an image to a folder, with their owners.
func unpack(t *testing.T, img v1.Image) string {
	t.Helper()
	if os.Geteuid() != 0 {
		unavailable(t, "leave to change the root directory: run as root")
	}
	root := t.TempDir()
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	files := mutate.Extract(img)
	defer files.Close()
	for r := tar.NewReader(files); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return root
		}
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(root, h.Name)
		if h.Typeflag == tar.TypeDir {
			err = os.Mkdir(name, 0o700)
		} else {
			var data []byte
			if data, err = io.ReadAll(r); err == nil {
				err = os.WriteFile(name, data, 0o600)
			}
		}
		if err := errors.Join(err, os.Chown(name, h.Uid, h.Gid), syscall.Chmod(name, uint32(h.Mode))); err != nil {
			t.Fatal(err)
		}
	}
}

// inside runs a program in a folder as if there were nothing else, as the image's user.
func inside(t *testing.T, root string, env []string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env, cmd.Dir = env, "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: 65532, Gid: 65532, Groups: []uint32{}}}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// unavailable skips the test, or fails it if PIECEWORK_REQUIRE_SERVERS is set.
func unavailable(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("PIECEWORK_REQUIRE_SERVERS") != "" {
		t.Fatalf("no %s", what)
	}
	t.Skipf("no %s", what)
}
