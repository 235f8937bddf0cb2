package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

// console is what a command reads from and prints on.
type console struct {
	In       io.Reader
	Out, Err io.Writer
	Env      map[string]string
	JSON     bool             // --json: one document on Out, on one line, and nothing else there
	Now      func() time.Time // the clock of relative times

	colours bool // Out is a terminal that wants colours
	outTerm int  // the file descriptor of Out, if it is a terminal; otherwise -1
	errTerm int  // likewise of Err
	inTerm  bool // In is a terminal

	url, token string // of the server that commands ask

	out *watched // Out, which tells what went wrong
}

// newConsole returns the console of a process.
func newConsole(in io.Reader, out, errs io.Writer, environ []string) *console {
	watch := &watched{w: out}
	c := &console{In: in, Out: watch, out: watch, Err: errs, Env: map[string]string{}, Now: time.Now, outTerm: terminal(out), errTerm: terminal(errs)}
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

// sayf prints what is plain. The console's writer keeps an error of standard output; there is nowhere to tell one of
// standard error.
func sayf(w io.Writer, format string, args ...any) {
	_, _ = io.WriteString(w, plain(fmt.Sprintf(format, args...)))
}

// PrintJSON prints a document on one line: indented, one that is nested deeply would be many times its size.
func (c *console) PrintJSON(v any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	_, err := c.Out.Write(escape(b.Bytes()))
	return err //nolint:wrapcheck // the console's writer has wrapped it
}

// watched is standard output. It keeps the first error: what nobody can read was not done.
type watched struct {
	w   io.Writer
	mu  sync.Mutex
	err error
}

func (w *watched) Write(p []byte) (int, error) {
	n, err := w.w.Write(p)
	if err != nil {
		err = fmt.Errorf("cannot print: %w", err)
		w.mu.Lock()
		w.err = cmp.Or(w.err, err)
		w.mu.Unlock()
	}
	return n, err
}

// failed returns the first error.
func (w *watched) failed() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}
