package program_test

import (
	"path/filepath"
	"strings"
	"testing"
)

// What is wrong with the configuration is told at once, and all of it, also while the store is
// away.
func TestTheConfigurationIsCheckedBeforeAnythingIsOpened(t *testing.T) {
	for name, tt := range map[string]struct{ variable, value, want string }{
		"port":       {"PORT", "http", `PORT="http": want a number from 1 to 65535`},
		"address":    {"PIECEWORK_ADDR", "8080", `PIECEWORK_ADDR="8080": write it as host:port`},
		"all":        {"PIECEWORK_ADDR", "0.0.0.0:8080", "PIECEWORK_ADDR=127.0.0.1:8080 keeps it to this machine"},
		"high port":  {"PIECEWORK_ADDR", "127.0.0.1:99999", `PIECEWORK_ADDR="127.0.0.1:99999": write it as host:port`},
		"timeout":    {"PIECEWORK_FUNCTION_TIMEOUT", "10s", "want a duration from 15s to 1h0m0s"},
		"margin":     {"PIECEWORK_MARGIN", "2m", `PIECEWORK_FUNCTION_TIMEOUT="5m0s": want a duration from 6m0s to 1h0m0s`},
		"no margin":  {"PIECEWORK_MARGIN", "0s", `PIECEWORK_MARGIN="0s": want a duration such as 90s`},
		"account":    {"PIECEWORK_PUSH_ACCOUNTS", "push@p.example", "there are accounts, but no audience"},
		"token":      {"PIECEWORK_TOKENS", "operator:short", "it has 5 characters, need at least 16"},
		"role":       {"PIECEWORK_TOKENS", "oprator:" + token, `did you mean "operator"?`},
		"origin":     {"PIECEWORK_ORIGINS", "https://a.example, b.example", `PIECEWORK_ORIGINS="https://a.example, b.example": origin "b.example": write it as`},
		"token file": {"PIECEWORK_TOKEN_FILE", "/nowhere/tokens", "/nowhere/tokens: no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newSite(t)
			w.env["PIECEWORK_STORE"] = "sqlite:///dev/null/records.db" // cannot be opened
			if name == "port" {
				w.env["PIECEWORK_ADDR"] = ""
			}
			w.env[tt.variable] = tt.value
			if text := w.refuses(2, tt.want); strings.Contains(text, "/dev/null") || strings.Count(text, tt.want) != 1 {
				t.Errorf("want only what is wrong with the configuration, once: %s", text)
			}
		})
	}
	w := newSite(t)
	w.env["PIECEWORK_STORE"] = "sqlite://" + filepath.ToSlash(t.TempDir()) + "/dir/none/records.db"
	w.env["PORT"], w.env["PIECEWORK_ADDR"], w.env["PIECEWORK_TOKENS"], w.env["PIECEWORK_LEASE"] = "x", "", "operator:short", "soon"
	w.refuses(2, "PORT=", "at least 16", `PIECEWORK_LEASE="soon"`)
}
