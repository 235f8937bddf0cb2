package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// block is what may stand between braces: the arguments and blocks that occur there in the template, and the attributes
// that the template reads without setting them.
type block struct {
	arguments map[string]bool
	read      map[string]bool
	blocks    map[string]*block
}

func newBlock() *block {
	return &block{arguments: map[string]bool{}, read: map[string]bool{"id": true}, blocks: map[string]*block{}}
}

// template is what a template says about the resources of one provider.
type template struct {
	provider        string
	config          *block
	resources, data map[string]*block
}

// meta are the arguments and blocks that Terraform itself reads.
var meta = map[string]bool{
	"count": true, "for_each": true, "depends_on": true, "provider": true, "lifecycle": true, "provisioner": true, "connection": true,
}

// readTemplate reads the template in a folder.
func readTemplate(dir, provider string) (*template, error) {
	t := &template{provider: provider, config: newBlock(), resources: map[string]*block{}, data: map[string]*block{}}
	names, err := filepath.Glob(filepath.Join(dir, "*.tf"))
	if err != nil {
		return nil, err
	}
	var bodies []*hclsyntax.Body
	for _, name := range names {
		file, problems := hclparse.NewParser().ParseHCLFile(name)
		if problems.HasErrors() {
			return nil, fmt.Errorf("read template: %w", problems)
		}
		bodies = append(bodies, file.Body.(*hclsyntax.Body))
	}
	for _, body := range bodies {
		for _, b := range body.Blocks {
			switch {
			case b.Type == "provider" && b.Labels[0] == provider:
				t.config.add(b.Body)
			case b.Type == "resource" && t.owns(b.Labels[0]):
				of(t.resources, b.Labels[0]).add(b.Body)
			case b.Type == "data" && t.owns(b.Labels[0]):
				of(t.data, b.Labels[0]).add(b.Body)
			}
		}
	}
	for _, body := range bodies {
		if problems := hclsyntax.VisitAll(body, t.reference); problems.HasErrors() {
			return nil, problems
		}
	}
	return t, nil
}

func (t *template) owns(typ string) bool { return strings.HasPrefix(typ, t.provider+"_") }

// of returns the block of that name, which it makes if there is none.
func of(blocks map[string]*block, name string) *block {
	if blocks[name] == nil {
		blocks[name] = newBlock()
	}
	return blocks[name]
}

// add adds what occurs in a body.
func (b *block) add(body *hclsyntax.Body) {
	for name := range body.Attributes {
		if !meta[name] {
			b.arguments[name] = true
		}
	}
	for _, inner := range body.Blocks {
		switch {
		case meta[inner.Type]:
		case inner.Type == "dynamic":
			for _, content := range inner.Body.Blocks {
				of(b.blocks, inner.Labels[0]).add(content.Body)
			}
		default:
			of(b.blocks, inner.Type).add(inner.Body)
		}
	}
}

// reference notes which attributes an expression reads.
func (t *template) reference(n hclsyntax.Node) hcl.Diagnostics {
	if e, ok := n.(hclsyntax.Expression); ok {
		t.resolve(e, nil)
	}
	return nil
}

// resolve returns the block that an expression leads to, nil if it leads to none. Loop are the variables of the loops
// around it.
func (t *template) resolve(e hclsyntax.Expression, loop map[string]*block) *block {
	switch e := e.(type) {
	case *hclsyntax.ScopeTraversalExpr:
		path := e.Traversal
		root := path.RootName()
		switch {
		case loop[root] != nil:
			return loop[root].follow(path[1:])
		case t.owns(root) && len(path) > 1 && t.resources[root] != nil:
			return t.resources[root].follow(path[2:])
		case root == "data" && len(path) > 2:
			if typ := path[1].(hcl.TraverseAttr).Name; t.data[typ] != nil {
				return t.data[typ].follow(path[3:])
			}
		}
	case *hclsyntax.RelativeTraversalExpr:
		return t.resolve(e.Source, loop).follow(e.Traversal)
	case *hclsyntax.IndexExpr:
		return t.resolve(e.Collection, loop)
	case *hclsyntax.SplatExpr:
		if each, ok := e.Each.(*hclsyntax.RelativeTraversalExpr); ok {
			return t.resolve(e.Source, loop).follow(each.Traversal)
		}
	case *hclsyntax.ForExpr:
		if over := t.resolve(e.CollExpr, loop); over != nil {
			t.resolveBody(e, map[string]*block{e.ValVar: over})
		}
	}
	return nil
}

// resolveBody resolves the expressions inside a loop.
func (t *template) resolveBody(e *hclsyntax.ForExpr, loop map[string]*block) {
	for _, inner := range []hclsyntax.Expression{e.KeyExpr, e.ValExpr, e.CondExpr} {
		if inner == nil {
			continue
		}
		_ = hclsyntax.VisitAll(inner, func(n hclsyntax.Node) hcl.Diagnostics {
			if expr, ok := n.(hclsyntax.Expression); ok {
				t.resolve(expr, loop)
			}
			return nil
		})
	}
}

// follow notes the attributes of a path that starts at b, which may be nil.
func (b *block) follow(path hcl.Traversal) *block {
	for _, step := range path {
		name, ok := step.(hcl.TraverseAttr)
		if b == nil || !ok {
			continue
		}
		if inner := b.blocks[name.Name]; inner != nil {
			b = inner
			continue
		}
		if !b.arguments[name.Name] {
			b.read[name.Name] = true
		}
		return nil
	}
	return b
}

// schema is a block as the protocol has it. Arguments may have any type. What is read and not set is text.
func (b *block) schema() *tfprotov6.SchemaBlock {
	out := &tfprotov6.SchemaBlock{}
	for name := range b.arguments {
		out.Attributes = append(out.Attributes, &tfprotov6.SchemaAttribute{Name: name, Type: tftypes.DynamicPseudoType, Optional: true})
	}
	for name := range b.read {
		if !b.arguments[name] {
			out.Attributes = append(out.Attributes, &tfprotov6.SchemaAttribute{Name: name, Type: tftypes.String, Computed: true})
		}
	}
	for name, inner := range b.blocks {
		out.BlockTypes = append(out.BlockTypes, &tfprotov6.SchemaNestedBlock{
			TypeName: name, Block: inner.schema(), Nesting: tfprotov6.SchemaNestedBlockNestingModeList,
		})
	}
	return out
}

// dynamic reports whether a value of the block may have any type.
func (b *block) dynamic() bool {
	for _, inner := range b.blocks {
		if inner.dynamic() {
			return true
		}
	}
	return len(b.arguments) > 0
}

// typ is the type of a block's value. Blocks in it are tuples if their arguments may have any type.
func (b *block) typ() tftypes.Object {
	fields := map[string]tftypes.Type{}
	for name := range b.read {
		fields[name] = tftypes.String
	}
	for name := range b.arguments {
		fields[name] = tftypes.DynamicPseudoType
	}
	for name, inner := range b.blocks {
		fields[name] = tftypes.DynamicPseudoType
		if !inner.dynamic() {
			fields[name] = tftypes.List{ElementType: inner.typ()}
		}
	}
	return tftypes.Object{AttributeTypes: fields}
}
