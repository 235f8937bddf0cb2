package program_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/piecework/piecework/functions/httpapi/apiclient"
	"github.com/piecework/piecework/functions/httpapi/wire"
	"github.com/piecework/piecework/infra/drivers/mem"
	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/tests/port"
)

const token = "operator-0123456789"

// newSite is a world that serves on an address of its own, to callers with a token.
func newSite(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.register = append(w.register, mem.Register)
	w.env["PIECEWORK_QUEUES"] = "mem://{queue}"
	w.env["PIECEWORK_ADDR"], w.env["PIECEWORK_TOKENS"] = port.Address(port.Free(t)), "operator:"+token
	return w
}

// server is a server under way.
type server struct {
	*process

	url string
}

// serve starts a server, and waits until it answers.
func (w *world) serve(addr string, args ...string) *server {
	w.t.Helper()
	p := &server{w.launch(args...), "http://" + addr}
	for limit := time.After(30 * time.Second); ; {
		if res, err := http.Get(p.url + "/healthz"); err == nil {
			if res.Body.Close(); res.StatusCode == http.StatusOK {
				return p
			}
		}
		select {
		case status := <-p.status:
			w.t.Fatalf("it ended with status %d:\n%s", status, p.errs)
		case <-limit:
			w.t.Fatalf("it does not answer:\n%s", p.errs)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// ends stops the server and returns its exit status.
func (p *server) ends() int {
	p.t.Helper()
	p.stop()
	return p.process.ends()
}

// refuses runs a server that must not start. It checks the exit status and what it says, and returns
// all that it says.
func (w *world) refuses(status int, parts ...string) string {
	w.t.Helper()
	p := w.launch("serve")
	if got := p.ends(); got != status {
		w.t.Errorf("status %d, want %d", got, status)
	}
	want(w.t, p.errs.String(), parts...)
	return p.errs.String()
}

func (p *server) post(path, body string) int {
	p.t.Helper()
	res, err := http.Post(p.url+path, "application/json", strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	_ = res.Body.Close()
	return res.StatusCode
}

func TestServeTakesMessagesSweepsAndTheAPI(t *testing.T) {
	w := newSite(t)
	w.env["K_REVISION"] = "jobs-00001-abc"
	p := w.serve(w.env["PIECEWORK_ADDR"], "serve")
	client, err := apiclient.New(p.url, &apiclient.Options{Token: token})
	if err != nil {
		t.Fatal(err)
	}
	receipt, err := client.Submit(t.Context(), wire.Submit{Kind: "test.double", Args: json.RawMessage("21")})
	if err != nil {
		t.Fatal(err)
	}
	for path, body := range map[string]string{
		"/push/execute": fmt.Sprintf(`{"id":%q}`, receipt.ID), "/push/submit": `{"kind":"test.double","args":1}`, "/sweep": "", "/events": "{}",
	} {
		if status := p.post(path, body); status/100 != 2 {
			t.Errorf("%s: status %d", path, status)
		}
	}
	info, err := client.Wait(t.Context(), receipt.ID, nil)
	if err != nil || info.State != store.Succeeded || string(info.Result) != "42" {
		t.Errorf(`got %+v, %v, want no error && info.State == store.Succeeded && string(info.Result) == "42"`, info, err)
	}
	if len(info.Attempts) != 1 || !strings.HasPrefix(info.Attempts[0].Worker, "jobs-00001-abc/") {
		t.Errorf("who ran it: %+v", info.Attempts)
	}
	if status := p.ends(); status != 0 {
		t.Errorf("status %d", status)
	}
	want(t, p.errs.String(), "server is running", `"all_handed_back":true`)
}

func TestPagesOfTheOriginsMayUseTheAPI(t *testing.T) {
	w := newSite(t)
	w.env["PIECEWORK_ORIGINS"] = "http://localhost:3000, https://console.example.com"
	p := w.serve(w.env["PIECEWORK_ADDR"], "serve")
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.url+"/v1/kinds", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Origin", "https://console.example.com")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if got := res.Header.Get("Access-Control-Allow-Origin"); res.StatusCode != http.StatusOK || got != "https://console.example.com" {
		t.Errorf("status %d, Access-Control-Allow-Origin %q, want 200 and the page's origin", res.StatusCode, got)
	}
	p.ends()
}

func TestOnCloudRunItServesWithoutACommand(t *testing.T) {
	w := newSite(t)
	n := port.Free(t)
	w.env["PIECEWORK_ADDR"], w.env["PORT"], w.env["K_SERVICE"], w.env["PIECEWORK_TOKENS"] = "", strconv.Itoa(n), "jobs", ""
	w.env["PIECEWORK_PUSH_AUDIENCE"] = "https://jobs.example" // IAM has one of its own
	w.env["K_REVISION"] = "jobs-00001-abc"
	p := w.serve(port.Address(n))
	if status := p.post("/sweep", ""); status != http.StatusOK {
		t.Errorf("status %d", status)
	}
	if status := p.ends(); status != 0 {
		t.Errorf("status %d", status)
	}
	want(t, p.errs.String(), "the service must require authentication", "the HTTP API is closed", `"severity":"WARNING","message":"every caller that may invoke`)
}

func TestWithAccountsTokensAreWanted(t *testing.T) {
	w := newSite(t)
	w.env["PIECEWORK_PUSH_ACCOUNTS"], w.env["PIECEWORK_PUSH_AUDIENCE"] = "push@p.iam.gserviceaccount.com, more@p.iam.gserviceaccount.com", "https://jobs.example"
	w.env["K_SERVICE"] = "jobs"
	p := w.serve(w.env["PIECEWORK_ADDR"])
	for _, path := range []string{"/push/execute", "/push/submit", "/events", "/sweep"} {
		if status := p.post(path, "{}"); status != http.StatusUnauthorized {
			t.Errorf("%s: status %d", path, status)
		}
	}
	if status := p.ends(); status != 0 {
		t.Errorf("status %d", status)
	}
}

func TestWhatCannotWorkDoesNotStart(t *testing.T) {
	for name, tt := range map[string]struct {
		env  map[string]string
		want string
	}{
		"open to all":    {map[string]string{"PIECEWORK_ADDR": ""}, "PIECEWORK_ADDR=127.0.0.1:8080 keeps it to this machine"},
		"open address":   {map[string]string{"PIECEWORK_ADDR": "0.0.0.0:8080"}, "PIECEWORK_PUSH_ACCOUNTS"},
		"no audience":    {map[string]string{"PIECEWORK_PUSH_ACCOUNTS": "a@b.example"}, "no audience"},
		"no account":     {map[string]string{"PIECEWORK_PUSH_AUDIENCE": "https://jobs.example"}, "no account"},
		"no e-mail":      {map[string]string{"PIECEWORK_PUSH_ACCOUNTS": "me", "PIECEWORK_PUSH_AUDIENCE": "https://jobs.example"}, "e-mail"},
		"port":           {map[string]string{"PIECEWORK_ADDR": "", "PORT": "http"}, `PORT=`},
		"timeout":        {map[string]string{"PIECEWORK_FUNCTION_TIMEOUT": "300"}, `PIECEWORK_FUNCTION_TIMEOUT="300": want a duration such as`},
		"short timeout":  {map[string]string{"PIECEWORK_FUNCTION_TIMEOUT": "10s"}, "want a duration from 15s to 1h"},
		"token":          {map[string]string{"PIECEWORK_TOKENS": "operator:short"}, "at least 16"},
		"token file":     {map[string]string{"PIECEWORK_TOKEN_FILE": "/nowhere/tokens"}, "/nowhere/tokens"},
		"misspelt":       {map[string]string{"PIECEWORK_PUSH_ACCOUNT": "a@b.example"}, `did you mean "PIECEWORK_PUSH_ACCOUNTS"?`},
		"both are wrong": {map[string]string{"PIECEWORK_FUNCTION_TIMEOUT": "x", "PORT": "x", "PIECEWORK_ADDR": ""}, "PORT="},
	} {
		t.Run(name, func(t *testing.T) {
			w := newSite(t)
			maps.Copy(w.env, tt.env)
			if text := w.refuses(2, tt.want); strings.Contains(text, "invalid configuration: invalid configuration") {
				t.Errorf("it says so twice: %s", text)
			}
		})
	}
}

func TestAPortInUseIsToldWithWhatChoosesAnother(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	w := newSite(t)
	w.env["PIECEWORK_ADDR"] = taken.Addr().String()
	w.refuses(1, "choose another with PORT or PIECEWORK_ADDR")
}

func TestTheOtherCommandsAreThere(t *testing.T) {
	w := newSite(t)
	status, out, errs := w.run("init")
	if status != 0 {
		t.Errorf("status %d: %s%s", status, out, errs)
	}
	status, more, errs := w.run("serv")
	if status != 2 {
		t.Errorf("status %d", status)
	}
	want(t, out+more+errs, "serve")
}
