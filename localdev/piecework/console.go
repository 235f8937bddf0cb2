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

// console has the input and the outputs of a command.
type console struct {
	In       io.Reader
	Out, Err io.Writer
	Env      map[string]string
	JSON     bool             // --json: one document on Out, on one line, and nothing else there
	Now      func() time.Time // the clock of relative times

	colours bool // Out is a terminal that wants colours
	columns int  // the width of Out, if outTerm does not tell it; tests set it
	outTerm int  // the file descriptor of Out, if it is a terminal; otherwise -1
	errTerm int  // the file descriptor of Err, if it is a terminal; otherwise -1
	inTerm  bool // In is a terminal

	url, token string // of the server that commands call

	out *output // Out, which keeps its first error
}

// newConsole returns the console of a process.
func newConsole(in io.Reader, out, errs io.Writer, environ []string) *console {
	watch := &output{w: out}
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

// Width is the width of Out in characters, 0 if it is not a terminal.
func (c *console) Width() int { return max(c.columns, width(c.outTerm)) }

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

// Notef prints on standard error, beside the output that scripts read.
func (c *console) Notef(format string, args ...any) { sayf(c.Err, format, args...) }

// Hintf prints on standard error if that is a terminal and --json is not set.
func (c *console) Hintf(format string, args ...any) {
	if c.errTerm >= 0 && !c.JSON {
		c.Notef(format, args...)
	}
}

// sayf prints text without control characters. The console's writer keeps an error of standard
// output; an error of standard error cannot be reported.
func sayf(w io.Writer, format string, args ...any) {
	_, _ = io.WriteString(w, plain(fmt.Sprintf(format, args...)))
}

// PrintJSON prints a document on one line. Indentation would multiply the size of a deeply nested
// document.
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

// output is standard output. It keeps the first error, which becomes the command's error.
type output struct {
	w   io.Writer
	mu  sync.Mutex
	err error
}

func (w *output) Write(p []byte) (int, error) {
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
func (w *output) failed() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}
