package endtoend

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/store"
)

// Jobs is how many jobs one run submits, ShortJobs how many with -short.
const (
	Jobs      = 2000
	ShortJobs = 300
)

// The kinds.
const (
	Plain  = "endtoend.plain"  // returns a result
	Flaky  = "endtoend.flaky"  // fails some times, by an error or a panic, and then returns a result
	Steps  = "endtoend.steps"  // writes a file step by step, with checkpoints and continuations in between
	Report = "endtoend.report" // writes a file in one go, and may fail in the middle of it
	Ending = "endtoend.ending" // ends without a result
)

// Task are the arguments of all kinds.
type Task struct {
	Number int    `json:"number"`
	Takes  int    `json:"takes,omitempty"`  // milliseconds, of Plain
	Fails  int    `json:"fails,omitempty"`  // attempts with a number up to this fail
	Panics bool   `json:"panics,omitempty"` // by a panic
	Steps  int    `json:"steps,omitempty"`
	Rows   int    `json:"rows,omitempty"`
	End    string `json:"end,omitempty"`
	Ballast
}

// Ballast makes arguments or a result so long that they are kept as a blob.
type Ballast struct {
	Text string `json:"text,omitempty"`
}

// The values of Task.End.
const (
	EndPermanent = "permanent"
	EndExhausted = "exhausted"
	EndSkipped   = "skipped"
)

// Job is one job of a run: what to submit, and how it must end.
type Job struct {
	Kind  string
	Task  Task
	Key   string
	Delay time.Duration

	State     store.State // in which it must end
	Continued int         // how often it must have returned Continue
	File      string      // the name of its file, "" if it has none
	Content   []byte      // of the file
	Long      bool        // whether its result is long
}

// Plan is the job of a number.
func Plan(number int) Job {
	j := Job{Kind: Plain, Task: Task{Number: number, Takes: number % 60}, State: store.Succeeded}
	switch number % 20 {
	case 3:
		j.Task.Takes = 4000 // so that one that was frozen comes back while another runs in its place
	case 9, 10:
		j.Delay = time.Duration(500+number*37%4000) * time.Millisecond
	case 11:
		j.Key = fmt.Sprint("account ", number)
		if number%3 == 0 {
			j.Task.Text = Long(number)
		}
	case 12, 13:
		j.Kind, j.Task.Fails, j.Task.Panics = Flaky, 1+number/20%3, number%2 == 0
		j.Long = number/20%4 == 0
	case 14, 15, 16:
		j.Kind, j.Task.Steps, j.File = Steps, 4+number%5, "steps.txt"
		for step := range j.Task.Steps {
			j.Content = append(j.Content, line(number, step)...)
			if step+1 < j.Task.Steps && continues(number, step) {
				j.Continued++
			}
		}
	case 17, 18:
		j.Kind, j.Task.Rows, j.Task.Fails, j.File = Report, 20+number*53%3000, number/20%2, "report/rows.csv"
		j.Content = rows(number, 0, j.Task.Rows)
	case 19:
		j.Kind, j.Task.End, j.State = Ending, []string{EndPermanent, EndExhausted, EndSkipped}[number/20%3], store.Failed
		if j.Task.End == EndSkipped {
			j.State = store.Skipped
		}
	}
	return j
}

// Submission is the job as a client submits it.
func (j Job) Submission() functions.Submission {
	s := functions.Submission{Kind: j.Kind, Args: j.Task}
	if j.Key != "" {
		s.Options = append(s.Options, functions.Key(j.Key))
	}
	if j.Delay > 0 {
		s.Options = append(s.Options, functions.After(j.Delay))
	}
	if j.Task.End == EndExhausted {
		s.Options = append(s.Options, functions.MaxAttempts(2))
	}
	return s
}

// line is what a step writes.
func line(number, step int) string { return fmt.Sprintf("job %d, step %d\n", number, step) }

// continues tells whether a step ends in a continuation; others end in a checkpoint.
func continues(number, step int) bool { return (number+step)%2 == 0 }

// rows are lines of a report.
func rows(number, from, to int) []byte {
	var b bytes.Buffer
	for row := from; row < to; row++ {
		fmt.Fprintf(&b, "%d,%d,%d\n", number, row, number*row)
	}
	return b.Bytes()
}

// Long is a text that no record holds.
func Long(number int) string {
	return strings.Repeat(fmt.Sprintf("text of job %d; ", number), 2*store.MaxInline/16)
}
