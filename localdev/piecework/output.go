package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/httpapi/apiclient"
	"github.com/piecework/piecework/functions/httpapi/wire"
)

func outputCommand(c *console) *cobra.Command {
	var to string
	cmd := &cobra.Command{
		Use: "output ID [NAME]", Aliases: []string{"outputs"}, Short: "List a job's files, or fetch one", Args: wantArgs(1, 2, "the ID of a job, and the NAME of an output or none"),
		Long: "Without NAME lists the files of a job. With NAME writes that file to standard output, or with -o to a file,\n" +
			"which appears whole or not at all.\n\n" + idHelp + "\n\n" + exitHelp,
		Example: "  piecework output job-... nearest.csv | head\n  piecework output job-... nearest.csv -o nearest.csv",
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := c.client()
			if err != nil {
				return err
			}
			id, err := jobID(cmd.Context(), client, args[0])
			if err != nil {
				return err
			}
			if len(args) == 1 {
				if to != "" {
					return usage("-o needs the NAME of an output; \"%s\" lists them", cmd.CommandPath()+" "+args[0])
				}
				return c.listOutputs(cmd.Context(), client, id)
			}
			return c.fetch(cmd.Context(), client, id, args[1], to)
		},
	}
	c.serverCommand(cmd).Flags().StringVarP(&to, "output", "o", "", "the file to write; - for standard output")
	return cmd
}

func (c *console) listOutputs(ctx context.Context, client *apiclient.Client, id string) error {
	list, err := client.Outputs(ctx, id)
	if err != nil {
		return err
	}
	if c.JSON {
		return c.PrintJSON(wire.Outputs{Outputs: list})
	}
	if len(list) == 0 {
		c.Notef("no outputs; they are visible when the job has succeeded\n")
		return nil
	}
	t := newTable("OUTPUT", "SIZE", "TYPE", "SHA256")
	for _, o := range list {
		t.add(oneLine(o.Name), size(o.Size), o.ContentType, o.SHA256)
	}
	t.print(c)
	return nil
}

// fetch writes an output to a file, or to standard output.
func (c *console) fetch(ctx context.Context, client *apiclient.Client, id, name, to string) error {
	if c.JSON && (to == "" || to == "-") {
		return usage("--json with an output's NAME needs -o FILE, since the output itself would be on standard output")
	}
	r, info, err := client.OpenOutput(ctx, id, name, 0)
	if err != nil {
		return err
	}
	defer r.Close()
	if to == "" || to == "-" {
		if _, err := copyChecked(c.Out, r, info); err != nil {
			return fmt.Errorf("output %s of job %s: %w", name, id, err)
		}
		return nil
	}
	n, err := writeFile(to, r, info)
	if err != nil {
		return fmt.Errorf("output %s of job %s: %w", name, id, err)
	}
	path, err := filepath.Abs(to)
	if err != nil {
		path = to
	}
	info.Size = n
	if c.JSON {
		return c.PrintJSON(struct {
			functions.OutputInfo

			Path string `json:"path"`
		}{info, path})
	}
	c.Hintf("%s  %s\n", path, size(n))
	return nil
}

// errChanged means that the checksum of the received bytes differs from the server's.
var errChanged = errors.New("the received bytes have another checksum than the output")

// copyChecked copies, and compares the checksum if the server sent one.
func copyChecked(w io.Writer, r io.Reader, info functions.OutputInfo) (int64, error) {
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(w, sum), r)
	if err != nil {
		return n, err //nolint:wrapcheck // the caller names the output
	}
	if info.SHA256 != "" && info.SHA256 != hex.EncodeToString(sum.Sum(nil)) {
		return n, errChanged
	}
	return n, nil
}

// writeFile writes a temporary file beside name, and renames it when it is complete.
func writeFile(name string, r io.Reader, info functions.OutputInfo) (int64, error) {
	if st, err := os.Stat(name); err == nil && !st.Mode().IsRegular() {
		if st.IsDir() {
			return 0, usage("%s is a directory; name a file", name)
		}
		f, err := os.OpenFile(name, os.O_WRONLY, 0) // a pipe or a device, such as /dev/null
		if err != nil {
			return 0, err //nolint:wrapcheck // it names the file
		}
		n, err := copyChecked(f, r, info)
		return n, errors.Join(err, f.Close())
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if err != nil {
		return 0, err //nolint:wrapcheck // it names the file
	}
	n, err := copyChecked(f, r, info)
	if err = errors.Join(err, f.Chmod(0o644), f.Close()); err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return n, errors.Join(err, os.Remove(f.Name()))
	}
	return n, nil
}
