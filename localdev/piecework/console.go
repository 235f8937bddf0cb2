package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

// console is what a command reads from and prints on.
type console struct {
	In       io.Reader
	Out, Err io.Writer
	Env      map[string]string
	JSON     bool             // --json: one document on Out, and nothing else there
	Now      func() time.Time // the clock of relative times

	colours bool // Out is a terminal that wants colours
	outTerm int  // the file descriptor of Out, if it is a terminal; otherwise -1
	errTerm int  // likewise of Err
	inTerm  bool // In is a terminal

	url, token string // of the server that commands ask
}

// newConsole returns the console of a process.
func newConsole(in io.Reader, out, errs io.Writer, environ []string) *console {
	c := &console{In: in, Out: out, Err: errs, Env: map[string]string{}, Now: time.Now, outTerm: terminal(out), errTerm: terminal(errs)}
	for _, pair := range environ {
		name, value, _ := strings.Cut(pair, "=")
		c.Env[name] = value
	}
	if f, ok := in.(*os.File); ok {
		c.inTerm = term.IsTerminal(int(f.Fd()))
	}
	c.colours = c.outTerm >= 0 && c.Env["NO_COLOR"] == "" && c.Env["TERM"] != "dumb"
	return c
}

// terminal returns the file descriptor of a terminal, or -1.
func terminal(w io.Writer) int {
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return int(f.Fd())
	}
	return -1
}

// Width is the width of Out in characters, 0 if it is no terminal.
func (c *console) Width() int { return width(c.outTerm) }

func width(fd int) int {
	if fd < 0 {
		return 0
	}
	w, _, err := term.GetSize(fd)
	if err != nil || w <= 0 {
		return 80
	}
	return w
}

// Printf prints for people.
func (c *console) Printf(format string, args ...any) { sayf(c.Out, format, args...) }

// Notef prints beside what scripts read.
func (c *console) Notef(format string, args ...any) { sayf(c.Err, format, args...) }

// Hintf prints for people who sit at a terminal, beside what scripts read.
func (c *console) Hintf(format string, args ...any) {
	if c.errTerm >= 0 && !c.JSON {
		c.Notef(format, args...)
	}
}

// sayf prints. Who closed the other end does not want to know more, and there is nowhere else to tell it.
func sayf(w io.Writer, format string, args ...any) { _, _ = fmt.Fprintf(w, format, args...) }

// PrintJSON prints a document.
func (c *console) PrintJSON(v any) error {
	e := json.NewEncoder(c.Out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}
