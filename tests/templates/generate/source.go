package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/piecework/piecework/tests/templates/schema"
)

// source is the generated code of one resource: index.js tells types and blocks, index.d.ts what is required.
type source struct{ js, dts string }

func load(dir string) (source, error) {
	js, err := os.ReadFile(filepath.Join(dir, "index.js"))
	if err != nil {
		return source{}, err
	}
	dts, err := os.ReadFile(filepath.Join(dir, "index.d.ts"))
	return source{string(js), string(dts)}, err
}

var (
	classPattern    = regexp.MustCompile(`(?m)^class (\w+) extends cdkt[fn]\.Terraform(?:Resource|DataSource|Provider) `)
	readOnlyPattern = regexp.MustCompile(`// (\w+) - computed: true, optional: false, required: false\n    get \w+\(\) \{\n        return this\.(?:get(\w+)Attribute|\w+)`)
	entryPattern    = regexp.MustCompile(`"?(\w+)"?: \{\n\s+value: (.*),\n\s+isBlock: (true|false),\n\s+type: "(\w+)",\n\s+storageClassType: "(\w+)",\n`)
	structPattern   = regexp.MustCompile(`(?:^|[^.\w])(\w+)ToHclTerraform\b`)
	propertyPattern = regexp.MustCompile(`#(\w+) \w+#\w+\}[^/]*\*/\s+readonly \w+(\??):`)
)

// main reads the block of the resource itself.
func (s source) main() (schema.Block, error) {
	at := classPattern.FindStringSubmatchIndex(s.js)
	if at == nil {
		return schema.Block{}, errors.New("there is no class of a resource")
	}
	class, body := s.js[at[2]:at[3]], s.js[at[0]:]
	_, entries, ok := strings.Cut(body, "    synthesizeHclAttributes() {")
	if !ok {
		return schema.Block{}, fmt.Errorf("class %s has no synthesizeHclAttributes", class)
	}
	b, err := s.block(entries, class+"Config")
	if err != nil {
		return b, err
	}
	readOnly(b, body)
	return b, nil
}

// readOnly adds what a class says is only computed.
func readOnly(b schema.Block, class string) {
	for _, m := range readOnlyPattern.FindAllStringSubmatch(class, -1) {
		typ, known := map[string]string{"String": "string", "Number": "number", "Boolean": "bool", "List": "list string", "StringMap": "map string"}[m[2]]
		if !known {
			typ = "any"
		}
		b.Attributes[m[1]] = schema.Attribute{Type: typ, ReadOnly: true}
	}
}

// block reads the entries of a block whose interface has this name.
func (s source) block(entries, name string) (schema.Block, error) {
	b := schema.Block{Attributes: map[string]schema.Attribute{}, Blocks: map[string]schema.Nested{}}
	required := s.required(name)
	for _, m := range entryPattern.FindAllStringSubmatch(entries, -1) {
		field, value, nesting := m[1], m[2], m[4]
		if m[3] == "false" {
			b.Attributes[field] = schema.Attribute{Type: typeOf(nesting, m[5]), Required: required[field]}
			continue
		}
		inner := structPattern.FindStringSubmatch(value)
		if inner == nil {
			return b, fmt.Errorf("block %s of %s: no struct in %q", field, name, value)
		}
		_, body, ok := strings.Cut(s.js, "\nfunction "+inner[1]+"ToHclTerraform(struct) {")
		if !ok {
			return b, fmt.Errorf("block %s of %s: no function for %s", field, name, inner[1])
		}
		body, _, _ = strings.Cut(body, "\n}\n")
		nested, err := s.block(body, strings.ToUpper(inner[1][:1])+inner[1][1:])
		if err != nil {
			return b, err
		}
		if _, class, ok := strings.Cut(s.js, "\nclass "+strings.ToUpper(inner[1][:1])+inner[1][1:]+"OutputReference extends "); ok {
			class, _, _ = strings.Cut(class, "\n}\n")
			readOnly(nested, class)
		}
		n := schema.Nested{Nesting: nesting, Required: required[field], Block: nested, Single: !strings.Contains(value, "listMapperHcl")}
		if nesting == "struct" {
			n.Nesting, n.Single = "single", false
		}
		b.Blocks[field] = n
	}
	return b, nil
}

// required tells which fields of an interface must be given.
func (s source) required(name string) map[string]bool {
	out := map[string]bool{}
	at := regexp.MustCompile(`(?m)^export interface ` + name + ` .*\{\n`).FindStringIndex(s.dts)
	if at == nil {
		return out
	}
	body, _, _ := strings.Cut(s.dts[at[1]:], "\n}\n")
	for _, m := range propertyPattern.FindAllStringSubmatch(body, -1) {
		out[m[1]] = m[2] == ""
	}
	return out
}

// typeOf is the type of an attribute.
func typeOf(nesting, class string) string {
	class = strings.ReplaceAll(class, "boolean", "bool")
	if nesting == "simple" && (class == "string" || class == "number" || class == "bool") {
		return class
	}
	for _, element := range []string{"string", "number", "bool"} {
		if class == element+"List" && (nesting == "list" || nesting == "set") {
			return nesting + " " + element
		}
		if class == element+"Map" {
			return "map " + element
		}
	}
	return "any"
}
