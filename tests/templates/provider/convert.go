package main

import (
	"strings"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/piecework/piecework/tests/templates/schema"
)

// protocol is a schema as the protocol has it.
func protocol(b schema.Block) *tfprotov6.Schema { return &tfprotov6.Schema{Block: block(b)} }

func block(b schema.Block) *tfprotov6.SchemaBlock {
	out := &tfprotov6.SchemaBlock{}
	for name, a := range b.Attributes {
		out.Attributes = append(out.Attributes, &tfprotov6.SchemaAttribute{
			Name: name, Type: typeOf(a.Type), Required: a.Required,
			// The bindings do not tell which optional arguments a provider fills in; "id" it always does.
			Optional: !a.Required && !a.ReadOnly, Computed: a.ReadOnly || name == "id" && !a.Required,
		})
	}
	for name, n := range b.Blocks {
		nested := &tfprotov6.SchemaNestedBlock{TypeName: name, Block: block(n.Block), Nesting: nesting[n.Nesting]}
		if n.Single {
			nested.MaxItems = 1
		}
		if n.Required && n.Nesting != "single" {
			nested.MinItems = 1
		}
		out.BlockTypes = append(out.BlockTypes, nested)
	}
	return out
}

var nesting = map[string]tfprotov6.SchemaNestedBlockNestingMode{
	"list": tfprotov6.SchemaNestedBlockNestingModeList, "set": tfprotov6.SchemaNestedBlockNestingModeSet,
	"single": tfprotov6.SchemaNestedBlockNestingModeSingle,
}

func typeOf(text string) tftypes.Type {
	if kind, element, ok := strings.Cut(text, " "); ok {
		switch kind {
		case "list":
			return tftypes.List{ElementType: typeOf(element)}
		case "set":
			return tftypes.Set{ElementType: typeOf(element)}
		default:
			return tftypes.Map{ElementType: typeOf(element)}
		}
	}
	switch text {
	case "string":
		return tftypes.String
	case "number":
		return tftypes.Number
	case "bool":
		return tftypes.Bool
	default:
		return tftypes.DynamicPseudoType
	}
}
