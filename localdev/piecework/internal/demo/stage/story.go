package stage

import (
	"fmt"
	"strconv"
	"time"

	"github.com/piecework/piecework/store"
)

// story tells what happens, line by line, each with the time since it began.
type story struct {
	o     Options
	bar   *bar
	began time.Time
	begun int // the last attempt whose beginning was told
	ended int // attempts whose end was told
	row   int // where the job stood when it was last seen: the next attempt begins there
	saved int // likewise, its checkpoints
}

func newStory(o Options) *story {
	return &story{o: o, bar: newBar(o.Out, o.Width, o.JSON || o.Width == 0), began: time.Now()}
}

// sayf tells that something has happened just now.
func (s *story) sayf(format string, args ...any) {
	s.bar.clear()
	s.o.printf("%6.2f s  %s\n", time.Since(s.began).Seconds(), fmt.Sprintf(format, args...))
}

// gap leaves a line free.
func (s *story) gap() { s.o.printf("\n") }

// see tells what is new in a job's record: attempts that ended, one that began, how far it is.
func (s *story) see(v view) {
	defer s.note(v)
	for ; s.ended < len(v.Attempts); s.ended++ {
		s.begins(v.Attempts[s.ended].Number, v.Attempts[s.ended].Worker) // it may have come and gone unseen
		switch a := v.Attempts[s.ended]; a.Outcome {
		case store.OutcomeSuccess:
			s.sayf("attempt %d won: all %s rows", a.Number, thousands(v.done()))
		case store.OutcomeLost:
			s.sayf("attempt %d ended as lost, together with its worker", a.Number)
		default:
			s.sayf("attempt %d ended as %s: %s", a.Number, a.Outcome, a.Error)
		}
	}
	if v.Lease == nil || v.State != store.Running {
		return
	}
	s.begins(v.Attempt, v.Lease.Worker)
	if p := v.Progress; p != nil {
		s.bar.draw(p.Done, p.Total, "checkpoint "+strconv.Itoa(v.Saved)+" at row "+thousands(v.row))
	}
}

// begins tells that an attempt began, if that was not told yet.
func (s *story) begins(attempt int, worker string) {
	if attempt <= s.begun {
		return
	}
	s.begun = attempt
	if s.saved == 0 {
		s.sayf("attempt %d began at row 0, on %s", attempt, worker)
	} else {
		s.sayf("attempt %d began at row %s, from checkpoint %d, on %s", attempt, thousands(s.row), s.saved, worker)
	}
}

// note remembers where the job stands.
func (s *story) note(v view) { s.row, s.saved = v.row, v.Saved }

// tell tells what came of it.
func (k *killing) tell() {
	r := k.Killed.Killed
	k.printf("\nAttempts in the job's record\n")
	var rows [][]string
	for _, a := range r.Attempts {
		rows = append(rows, []string{
			strconv.Itoa(a.Number), string(a.Outcome), a.Worker, fmt.Sprintf("%.1f s", a.End.Sub(a.Start).Seconds()),
		})
		if a.Error != "" {
			rows = append(rows, []string{"   " + a.Error})
		}
	}
	k.table(rows)
	again := k.Kill.ReachedRow - int64(k.Kill.CheckpointRow)
	k.printf("\nWhat the kill cost\n")
	k.table([][]string{
		{"rows not done again", thousands(k.Kill.WentOnFrom), "those before the last checkpoint"},
		{"rows done twice", thousands(again) + " or more", "those that worker 1 did after it"},
		{"time", fmt.Sprintf("%.1f s", k.Kill.WentOnAfter), "until the lease ran out and attempt 2 began"},
	})
	k.printf("\n")
	k.files(r.Files)
	k.printf("Compared with the undisturbed run\n")
	rows = nil
	for _, c := range k.Compared {
		verdict := "the same, byte for byte"
		if !c.Same {
			verdict = "DIFFERENT"
		}
		rows = append(rows, []string{c.Name, fmt.Sprintf("%9s bytes", thousands(c.Size)), verdict})
	}
	k.table(rows)
	k.printf("\n")
	for _, d := range k.Differences {
		k.printf("  DIFFERENCE: %s\n", d)
	}
	if k.Same {
		k.printf("The kill left no trace in the files. See for yourself:\n")
		k.table([][]string{
			{"cmp " + quote(k.short(r.Files[0].Path)) + " " + quote(k.short(k.Undisturbed.Files[0].Path))},
			{k.Program + " up --dir " + quote(k.Dir) + "   # and in another terminal:"},
			{k.Program + " get " + r.Job},
		})
	}
}
