// Command provider is a Terraform provider that takes its schema from the template in the current folder and creates
// nothing: what it is asked to create it returns, with the attributes filled in that the template reads. So OpenTofu
// evaluates a template as it would for real, without an account and without the real provider. The name of the file says
// which provider it is: terraform-provider-aws.
//
// It accepts every argument. That a template fits the real provider, only the real provider can tell.
package main

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6/tf6server"
)

func main() {
	name := strings.TrimPrefix(filepath.Base(os.Args[0]), "terraform-provider-")
	if err := serve(name); err != nil {
		slog.ErrorContext(context.Background(), "serve as a provider", slog.String("name", name), slog.Any("error", err))
		os.Exit(1)
	}
}

func serve(name string) error {
	t, err := readTemplate(".", name) // OpenTofu starts it where it runs itself
	if err != nil {
		return err
	}
	return tf6server.Serve("hashicorp/"+name, func() tfprotov6.ProviderServer { return &server{template: t} })
}
