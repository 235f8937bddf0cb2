package main

import (
	"fmt"
	"time"

	"github.com/piecework/piecework/store"
)

// paint colours a text, if the terminal shows colours.
func (c *console) paint(code, text string) string {
	if !c.colours || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (c *console) bold(text string) string { return c.paint("1", text) }
func (c *console) dim(text string) string  { return c.paint("2", text) }

// state colours a state.
func (c *console) state(s store.State) string {
	code := map[store.State]string{
		store.Running: "36", store.Retrying: "33", store.Succeeded: "32", store.Failed: "31", store.Cancelled: "2", store.Skipped: "2",
	}[s]
	if code == "" {
		return string(s)
	}
	return c.paint(code, string(s))
}

// count is a number with its noun.
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// when describes t relative to now: "3m ago", "in 2h".
func (c *console) when(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	switch d := c.Now().Sub(t); {
	case d > -time.Second && d < time.Second:
		return "now"
	case d < 0:
		return "in " + short(t.Sub(c.Now())) // -d would overflow for what is centuries away
	default:
		return short(d) + " ago"
	}
}

// moment describes t relative to now and in UTC, as --at takes it and as the API has it.
func (c *console) moment(t time.Time) string {
	return fmt.Sprintf("%s (%s)", c.when(t), t.UTC().Format(time.RFC3339))
}

// short formats a duration in its largest unit, or in the largest two if the number is small.
func short(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < 10*time.Minute && d%time.Minute >= time.Second:
		return fmt.Sprintf("%dm%ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 10*time.Hour && d%time.Hour >= time.Minute:
		return fmt.Sprintf("%dh%dm", int(d.Hours()), int(d.Minutes())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	default:
		return fmt.Sprintf("%dd", int(d.Hours())/24)
	}
}

// size formats a number of bytes with a decimal unit.
func size(n int64) string {
	const unit = 1000
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	f, i := float64(n)/unit, 0
	for ; f >= unit && i < 4; i++ {
		f /= unit
	}
	return fmt.Sprintf("%.1f %cB", f, "kMGTP"[i])
}
