// Command provider is a Terraform provider that knows the schema of a real one and creates nothing: what it is asked to
// create it returns, with the attributes filled in that a cloud would tell. OpenTofu so checks and evaluates a template
// as it would for real, without an account. Which provider it is, the name of its file says: terraform-provider-aws.
//
// What it cannot check is what a provider checks in code: allowed words, formats, arguments that exclude one another.
package main

import (
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6/tf6server"

	"github.com/piecework/piecework/tests/templates/schema"
)

func main() {
	name := strings.TrimPrefix(filepath.Base(os.Args[0]), "terraform-provider-")
	s, err := schema.Read(name)
	if err != nil {
		log.Fatal(err)
	}
	if err := tf6server.Serve("hashicorp/"+name, func() tfprotov6.ProviderServer { return newServer(s) }); err != nil {
		log.Fatal(err)
	}
}
