// Command provider is a Terraform provider that knows the schema of a real one and creates nothing: what it is asked to
// create it returns, with the attributes filled in that a cloud would tell. OpenTofu so checks and evaluates a template
// as it would for real, without an account. Which provider it is, the name of its file says: terraform-provider-aws.
//
// What it cannot check is what a provider checks in code: allowed words, formats, arguments that exclude one another.
package main

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6/tf6server"

	"github.com/piecework/piecework/tests/templates/schema"
)

func main() {
	name := strings.TrimPrefix(filepath.Base(os.Args[0]), "terraform-provider-")
	if err := serve(name); err != nil {
		slog.ErrorContext(context.Background(), "serve as a provider", slog.String("name", name), slog.Any("error", err))
		os.Exit(1)
	}
}

func serve(name string) error {
	s, err := schema.Read(name)
	if err != nil {
		return err
	}
	return tf6server.Serve("hashicorp/"+name, func() tfprotov6.ProviderServer { return newServer(s) })
}
