package stage

import (
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/localdev/piecework/internal/demo"
	"github.com/piecework/piecework/store"
)

// Report is what came of a job.
type Report struct {
	Job      string                  `json:"job"`
	Kind     string                  `json:"kind"`
	State    store.State             `json:"state"`
	Seconds  float64                 `json:"seconds"` // from the submission until the end was seen
	PaceMS   int64                   `json:"pace_ms"` // slowed down to at least that
	Attempts []functions.AttemptInfo `json:"attempts"`
	Files    []File                  `json:"files"`
	Result   demo.Result             `json:"result"`
}

// printJSON prints one JSON document.
func printJSON(out io.Writer, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	_, err = out.Write(append(text, '\n'))
	return err
}

// printf prints in text mode.
func (o Options) printf(format string, args ...any) {
	if !o.JSON {
		_, _ = fmt.Fprintf(o.Out, format, args...)
	}
}

// title says what the job does.
const title = "For each of 42,049 US ZIP codes, the nearest of 3,376 airports\n\n"

// opening says what is about to be seen.
func (o Options) opening(id string, left int64) {
	o.printf(title)
	o.printf("  system  in this process, over the directory %s\n", o.Dir)
	switch {
	case left > 1:
		o.printf("  job     %s, left at row %s\n          by a demo that was interrupted: it goes on\n\n", id, thousands(left))
	case left == 1:
		o.printf("  job     %s, left\n          by a demo that was interrupted: it goes on\n\n", id)
	case o.Pace > 0:
		o.printf("  job     %s\n", id)
		o.printf("  pace    slowed down to %v, so that you can watch; --pace 0 is full speed\n\n", o.Pace)
	default:
		o.printf("  job     %s\n\n", id)
	}
}

// ending tells what came of it.
func (o Options) ending(r *Report) {
	o.printf("  done in %.1f s: %s rows, %s, %s\n\n", r.Seconds, thousands(r.Result.Rows),
		plural(len(r.Attempts), "attempt"), plural(r.Result.Checkpoints, "checkpoint"))
	o.files(r.Files)
	o.remotest(r.Result)
	o.printf("Look further\n")
	o.table([][]string{
		{o.Program + " demo --kill"},
		{o.Program + " up --dir " + quote(o.Dir) + "   # and in another terminal:"},
		{o.Program + " get " + r.Job},
	})
}

// files lists the files with their sums.
func (o Options) files(files []File) {
	o.printf("Files\n")
	var rows [][]string
	for _, f := range files {
		verdict := "as an independent program found"
		if !f.Known {
			verdict = "NOT what an independent program found"
		}
		rows = append(rows,
			[]string{o.short(f.Path), fmt.Sprintf("%9s bytes", thousands(f.Size)), verdict},
			[]string{"  sha256 " + f.SHA256})
	}
	o.table(rows)
	o.printf("\n")
}

// short is the path of a file as the user named the directory.
func (o Options) short(path string) string {
	if abs, err := filepath.Abs(o.Dir); err == nil {
		if rel, err := filepath.Rel(abs, path); err == nil {
			return filepath.Join(o.Dir, rel)
		}
	}
	return path
}

// remotest lists the remotest ZIP codes, with a word of warning.
func (o Options) remotest(res demo.Result) {
	o.printf("The ten remotest of %s ZIP codes in %d states and territories; mean %.1f km\n", thousands(res.Rows), res.States, res.MeanKM)
	var rows [][]string
	for _, m := range res.Remotest {
		rows = append(rows, []string{
			fmt.Sprintf("%6.1f km", m.DistanceKM), m.ZIPCode, m.City + ", " + m.State, "to " + m.Airport + " (" + m.IATA + ")",
		})
	}
	o.table(rows)
	o.printf("\n  Some are remote, and some are faults of the tables, which are kept:\n" +
		"  airports of the western Pacific with a wrong sign, American Samoa (AS) 800 km\n" +
		"  off, 50 ZIP codes of Honolulu out at sea. More of it is told in\n" +
		"  localdev/piecework/internal/airports/data/README.md.\n\n")
}

// table prints rows with aligned columns. A row of one cell stands alone.
func (o Options) table(rows [][]string) {
	var widths []int
	for _, row := range rows {
		for c, cell := range row[:max(len(row)-1, 0)] {
			if c == len(widths) {
				widths = append(widths, 0)
			}
			widths[c] = max(widths[c], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range rows {
		var line strings.Builder
		for c, cell := range row {
			line.WriteString("  " + cell)
			if c < len(row)-1 {
				line.WriteString(strings.Repeat(" ", widths[c]-utf8.RuneCountInString(cell)))
			}
		}
		o.printf("%s\n", line.String())
	}
}

// plural is a number with a noun.
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return thousands(n) + " " + noun + "s"
}

// quote quotes a name for a shell if it needs that.
func quote(name string) string {
	if strings.ContainsAny(name, " '\"\\$&;|<>()*?#~`!\t\n") {
		return strconv.Quote(name)
	}
	return name
}
