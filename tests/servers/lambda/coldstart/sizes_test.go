package coldstart

import (
	"fmt"
	"os"
	"testing"

	"github.com/piecework/piecework/tests/servers/lambda/build"
)

// maxAWS is the most that the program for Lambda may have. Lambda loads it at each cold start.
const maxAWS = 30_000_000

func TestSize(t *testing.T) {
	sizes := map[string]int64{}
	show := func(what, program string) {
		info, err := os.Stat(program)
		if err != nil {
			t.Fatal(err)
		}
		sizes[what] = info.Size()
		fmt.Printf("size  %-28s %5.1f MB\n", what, float64(info.Size())/1e6)
	}
	show("the empty function", build.Must(t, "tests/servers/lambda/bare"))
	show("the empty HTTP server", build.Must(t, "tests/servers/lambda/coldstart/barehttp"))
	for _, target := range []string{"aws", "gcp", "azure", "selfhost"} {
		show(target, build.MustDeployed(t, target))
	}
	if sizes["aws"] > maxAWS {
		t.Errorf("the program for AWS has %d bytes, and may have %d: see what links what is large with go tool nm -size -sort size", sizes["aws"], maxAWS)
	}
}
