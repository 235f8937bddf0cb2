package servers

import (
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
)

// DynamoDB starts dynoxide and returns its URL. Any credentials will do.
//
// It differs from the real service: indexes never lag, nothing is throttled, and items do not expire.
func DynamoDB(tb testing.TB) string {
	tb.Helper()
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		tb.Skipf("no dynoxide for %s/%s", runtime.GOOS, runtime.GOARCH)
	}
	port := freePort(tb)
	run(tb, &Process{
		name: "dynoxide", ready: listens(address(port)),
		args: []string{filepath.Join(npm(tb, "@dynoxide/linux-x64"), "dynoxide"), "--host", "127.0.0.1", "--port", strconv.Itoa(port)},
	})
	return "http://" + address(port)
}

// FakeAWS gives the SDK credentials, which it wants for emulators too, for as long as the test runs.
func FakeAWS(tb testing.TB) {
	tb.Helper()
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test-secret", "AWS_REGION": "us-east-1",
		"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "none", "AWS_SHARED_CREDENTIALS_FILE": "none",
	} {
		tb.Setenv(name, value)
	}
}
