package httpapi

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

//go:embed docs.html
var docsHTML string

// page is the document as docs.html shows it. It needs no script and loads nothing.
type page struct {
	Title, Version, Text string
	Groups               []pageGroup
	Schemas              []pageSchema
}

type pageGroup struct {
	Name, Text string
	Operations []pageOperation
}

type pageOperation struct {
	ID, Method, Path, Summary, Text string
	Parameters                      []pageField
	Body, Answer                    string // names of schemas
}

type pageSchema struct {
	Name   string
	Fields []pageField
}

type pageField struct {
	Name, Where, Type, Text string
	Link                    string // the name of a schema
	Required                bool
}

// renderDocs makes the page for people.
func renderDocs(doc *huma.OpenAPI) ([]byte, error) {
	t, err := template.New("docs").Parse(docsHTML)
	if err != nil {
		return nil, fmt.Errorf("parse docs.html: %w", err)
	}
	p := page{Title: doc.Info.Title, Version: doc.Info.Version, Text: doc.Info.Description}
	for _, tag := range doc.Tags {
		p.Groups = append(p.Groups, pageGroup{tag.Name, tag.Description, operations(doc, tag.Name)})
	}
	schemas := doc.Components.Schemas.Map()
	for _, name := range slices.Sorted(maps.Keys(schemas)) {
		p.Schemas = append(p.Schemas, pageSchema{name, schemaFields(schemas[name])})
	}
	var b bytes.Buffer
	if err := t.Execute(&b, p); err != nil {
		return nil, fmt.Errorf("render docs.html: %w", err)
	}
	return b.Bytes(), nil
}

// operations lists the operations of a tag, by path.
func operations(doc *huma.OpenAPI, tag string) []pageOperation {
	var list []pageOperation
	for _, path := range slices.Sorted(maps.Keys(doc.Paths)) {
		item := doc.Paths[path]
		for _, op := range []*huma.Operation{item.Get, item.Post} {
			if op == nil || !slices.Contains(op.Tags, tag) {
				continue
			}
			o := pageOperation{ID: op.OperationID, Method: op.Method, Path: path, Summary: op.Summary, Text: op.Description}
			for _, q := range op.Parameters {
				o.Parameters = append(o.Parameters, pageField{
					Name: q.Name, Where: q.In, Type: typeOf(q.Schema), Text: q.Description, Required: q.Required,
				})
			}
			if op.RequestBody != nil {
				o.Body = schemaOf(op.RequestBody.Content)
			}
			for _, status := range []string{"201", "200"} {
				if r := op.Responses[status]; r != nil && o.Answer == "" {
					o.Answer = schemaOf(r.Content)
				}
			}
			list = append(list, o)
		}
	}
	return list
}

// schemaOf names the schema of a body in JSON.
func schemaOf(content map[string]*huma.MediaType) string {
	if m := content["application/json"]; m != nil && m.Schema != nil {
		return refName(m.Schema.Ref)
	}
	return ""
}

func refName(ref string) string { return strings.TrimPrefix(ref, "#/components/schemas/") }

func schemaFields(s *huma.Schema) []pageField {
	var list []pageField
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		p := s.Properties[name]
		f := pageField{Name: name, Type: typeOf(p), Text: p.Description, Required: slices.Contains(s.Required, name), Link: refName(p.Ref)}
		if p.Items != nil {
			f.Link = refName(p.Items.Ref)
		}
		list = append(list, f)
	}
	return list
}

// typeOf says what a value is, in a few words.
func typeOf(s *huma.Schema) string {
	switch {
	case s == nil:
		return ""
	case s.Ref != "":
		return refName(s.Ref)
	case s.Type == huma.TypeArray && s.Items != nil:
		return "list of " + typeOf(s.Items)
	case len(s.Enum) > 0:
		words := make([]string, len(s.Enum))
		for i, v := range s.Enum {
			words[i] = fmt.Sprint(v)
		}
		return strings.Join(words, ", ")
	case s.Format == "date-time":
		return "time"
	case s.Type == "":
		return "any JSON"
	default:
		return s.Type
	}
}

// serveDocs serves the page.
func (a *API) serveDocs(doc *huma.OpenAPI) error {
	html, err := renderDocs(doc)
	if err != nil {
		return err
	}
	a.mux.HandleFunc("GET /docs", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
		_, _ = w.Write(html) // the caller is gone if this fails
	})
	return nil
}
