package templates

import (
	"bufio"
	"context"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
)

// passwords are what a reader fills into .env.
var passwords = map[string]string{
	"POSTGRES_PASSWORD": "pgsecret", "NATS_PASSWORD": "natssecret", "MONGO_PASSWORD": "mongosecret", "RABBITMQ_PASSWORD": "rabbitsecret",
	"API_TOKEN": "tokenofthetests0123456789",
}

func project(t *testing.T, profile string) *types.Project {
	t.Helper()
	p, err := loader.LoadWithContext(t.Context(), types.ConfigDetails{
		WorkingDir:  filepath.Join(infra, "selfhost"),
		ConfigFiles: []types.ConfigFile{{Filename: filepath.Join(infra, "selfhost", "compose.yaml")}},
		Environment: types.Mapping(passwords),
	}, func(o *loader.Options) { o.Profiles = []string{profile} })
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestComposeFile(t *testing.T) {
	for profile, want := range map[string][]string{
		"postgres": {"api", "init", "nats", "nats-volume", "postgres", "worker"},
		"mongo":    {"api-mongo", "init-mongo", "mongo", "rabbitmq", "worker-mongo"},
	} {
		p := project(t, profile)
		names := p.ServiceNames()
		if slices.Sort(names); !slices.Equal(names, want) {
			t.Errorf("profile %s has the services %v, want %v", profile, names, want)
		}
		for name, s := range p.Services {
			ours := strings.HasPrefix(s.Image, "piecework-selfhost")
			if user, _, _ := strings.Cut(s.User, ":"); user == "" || user == "0" || !slices.Equal(s.CapDrop, []string{"ALL"}) ||
				!slices.Contains(s.SecurityOpt, "no-new-privileges:true") || !s.ReadOnly && name != "rabbitmq" || s.Privileged {
				t.Errorf("service %s has more rights than it needs: user %q, read-only %v", name, s.User, s.ReadOnly)
			}
			api := ours && slices.Equal([]string(s.Command), []string{"serve"})
			checkPorts(t, name, s, api)
			if !ours && (s.HealthCheck == nil || len(s.Volumes) == 0 || !strings.Contains(s.Image, ":")) {
				t.Errorf("service %s: image %s, health %v, volumes %v", name, s.Image, s.HealthCheck, s.Volumes)
			}
			if api || ours && slices.Equal([]string(s.Command), []string{"worker"}) {
				if s.StopGracePeriod == nil || time.Duration(*s.StopGracePeriod) < 40*time.Second || s.Restart != "unless-stopped" {
					t.Errorf("service %s has %v to stop and restarts %s", name, s.StopGracePeriod, s.Restart)
				}
				env := map[string]string{}
				for name, value := range s.Environment {
					env[name] = *value
				}
				checkSettings(t, maps.Clone(env))
				if api {
					checkAPI(t, env)
				}
			}
		}
	}
}

// hosts are those of the servers in a URL.
var hosts = regexp.MustCompile(`\b(postgres|nats|mongo|rabbitmq|127\.0\.0\.1):\d+`)

// checkSettings lets the doctor read them, with servers that are not there: it must find those, and nothing to correct.
func checkSettings(t *testing.T, env map[string]string) {
	t.Helper()
	for name, value := range env {
		if strings.Contains(value, "secret") && name != "PGPASSWORD" && !strings.Contains(value, "://piecework:") {
			t.Errorf("%s=%s: the password stands in the wrong place", name, value)
		}
		env[name] = hosts.ReplaceAllString(strings.ReplaceAll(value, "/var/lib/piecework", t.TempDir()), "127.0.0.1:1")
	}
	out, errs, err := tryProgram(t, "selfhost", env, "doctor", "--patience", "1s")
	if err == nil || strings.Contains(out+errs, "correct PIECEWORK_") || !strings.Contains(out, "FAIL") || strings.Contains(errs, "configuration") {
		t.Errorf("the doctor with %v: %v\n%s%s", env, err, out, errs)
	}
	if !strings.Contains(out, "ok blobs put") || !strings.Contains(out, "ok queues open") {
		t.Errorf("the doctor cannot open the queues or the bucket with %v:\n%s", env, out)
	}
}

// What compose.yaml wants of .env stands in the sample, and the other way round.
func TestSampleOfTheEnvironment(t *testing.T) {
	compose, err := os.ReadFile(filepath.Join(infra, "selfhost", "compose.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var wanted []string
	for _, m := range regexp.MustCompile(`[^$]\$\{(\w+)`).FindAllStringSubmatch(string(compose), -1) {
		wanted = append(wanted, m[1])
	}
	slices.Sort(wanted)
	var given []string
	for name, value := range settings(t, "env.sample") {
		if name != "COMPOSE_PROFILES" {
			given = append(given, name)
		}
		if (strings.HasSuffix(name, "PASSWORD") || strings.HasSuffix(name, "TOKEN")) && value != "" {
			t.Errorf("env.sample holds a password: %s=%s", name, value)
		}
	}
	slices.Sort(given)
	if wanted = slices.Compact(wanted); !slices.Equal(wanted, given) {
		t.Errorf("compose.yaml reads %v, env.sample has %v", wanted, given)
	}
}

// settings reads a file of NAME=VALUE.
func settings(t *testing.T, name string) map[string]string {
	t.Helper()
	f, err := os.Open(filepath.Join(infra, "selfhost", name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out := map[string]string{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), "="); ok && !strings.HasPrefix(name, "#") {
			out[name] = value
		}
	}
	return out
}

func TestUnitOfSystemd(t *testing.T) {
	checkSettings(t, settings(t, "piecework.env.sample"))
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		unavailable(t, "systemd-analyze: install systemd")
	}
	unit, err := os.ReadFile(filepath.Join(infra, "selfhost", "piecework.service"))
	if err != nil {
		t.Fatal(err)
	}
	// The program is not installed here: another that is takes its place.
	name := filepath.Join(t.TempDir(), "piecework.service")
	if err := os.WriteFile(name, []byte(strings.ReplaceAll(string(unit), "/usr/local/bin/pieceworkd", "/bin/true")), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if out, err := exec.CommandContext(ctx, analyze, "verify", "--man=no", name).CombinedOutput(); err != nil || len(out) != 0 {
		t.Errorf("systemd-analyze verify: %v, %s", err, out)
	}
	out, err := exec.CommandContext(ctx, analyze, "security", "--offline=true", "--no-pager", name).CombinedOutput()
	m := regexp.MustCompile(`exposure level for piecework.service: ([\d.]+)`).FindSubmatch(out)
	if err != nil || m == nil {
		t.Fatalf("systemd-analyze security: %v, %s", err, out)
	}
	if level, err := strconv.ParseFloat(string(m[1]), 64); err != nil || level > 1.5 {
		t.Errorf("the unit's exposure is %s of 10, want at most 1.5", m[1])
	}
}
