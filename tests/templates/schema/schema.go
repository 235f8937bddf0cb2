// Package schema has the schemas of the Terraform providers that the templates below infra use: which resources there
// are, with which arguments and attributes, of which types. They are facts of the providers, taken from the bindings
// that their maker generated and published as npm packages, cut down to the resources that occur here.
//
// "go run ./generate" writes them anew, which needs npm. Do so after a template has begun to use another resource.
package schema

import (
	"embed"
	"encoding/json"
	"fmt"
)

//go:embed aws.json google.json azurerm.json
var files embed.FS

// Providers are the names of the providers, of which each has a file NAME.json here.
var Providers = map[string]string{"aws": "@cdktn/provider-aws@25.7.0", "google": "@cdktf/provider-google@16.12.1", "azurerm": "@cdktn/provider-azurerm@16.1.0"}

// Provider is one provider of Terraform.
type Provider struct {
	Source    string           `json:"source"`  // the package that says so
	Version   string           `json:"version"` // of the provider
	Config    Block            `json:"config"`
	Resources map[string]Block `json:"resources"`
	Data      map[string]Block `json:"data"`
}

// Block is what may stand between braces.
type Block struct {
	Attributes map[string]Attribute `json:"attributes,omitempty"`
	Blocks     map[string]Nested    `json:"blocks,omitempty"`
}

// Attribute is an argument, or, if it is only computed, what the provider tells.
type Attribute struct {
	Type     string `json:"type"` // string, number, bool, any, or list, set or map of these: "list string"
	Required bool   `json:"required,omitempty"`
	ReadOnly bool   `json:"read_only,omitempty"`
}

// Nested is a block in a block.
type Nested struct {
	Nesting  string `json:"nesting"` // list, set or single
	Single   bool   `json:"one,omitempty"`
	Required bool   `json:"required,omitempty"`
	Block    Block  `json:"block"`
}

// Read returns the schema of a provider.
func Read(name string) (*Provider, error) {
	data, err := files.ReadFile(name + ".json")
	if err != nil {
		return nil, err
	}
	var p Provider
	if err := json.Unmarshal(data, &p); err != nil {
		return nil, fmt.Errorf("schema of %s: %w", name, err)
	}
	return &p, nil
}
