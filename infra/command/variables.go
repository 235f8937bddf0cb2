package command

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/piecework/piecework/infra/drivers"
)

// variables are those that this package reads, with their defaults; package drivers has the others.
var variables = []drivers.Variable{
	{Name: envConcurrency, Default: "100", Doc: "how many jobs run at once in this process"},
	{Name: envSubmit, Default: "false", Doc: "true: the worker also makes jobs of the messages of the queue \"submit\""},
	{Name: envLog, Default: "info", Doc: "what to log: debug, info, warn or error"},
	{Name: envProbe, Doc: "a lane that no worker pulls from, for the doctor; not set: it tries the lanes of the jobs"},
	{Name: envTimeout, Doc: "the timeout of the platform's function that runs jobs, if one does, such as 15m"},
}

// environmentTopic is the page of the help about the variables.
func environmentTopic() *cobra.Command {
	var page strings.Builder
	page.WriteString("The variables that all commands read, as name=default. The first three must be set. URLs and\n" +
		"durations are the same in all processes of a deployment. A variable that begins with PIECEWORK_ and is not known is\n" +
		"refused. Credentials are given as the services' own libraries want them.\n")
	for _, v := range slices.Concat(drivers.Variables(), variables) {
		name := v.Name
		if v.Default != "" {
			name += "=" + v.Default
		}
		_, _ = fmt.Fprintf(&page, "\n  %s\n      %s", name, v.Doc)
	}
	return &cobra.Command{Use: "environment", Short: "The variables that are read, with their defaults", Long: page.String()}
}
