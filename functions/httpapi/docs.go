package httpapi

import (
	"bytes"
	_ "embed"
	"fmt"
	"html"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"
)

// docsHead is the beginning of the page: what is the same whatever the document says.
//
//go:embed docs.html
var docsHead string

// page is a page in the making. It is no html/template because that calls methods by name, after which the linker keeps
// every method of every type: half as much again in a program that one of the clouds' SDKs is linked into.
type page struct{ bytes.Buffer }

// add adds HTML. Each %s in it is a text, which is escaped.
func (p *page) add(format string, texts ...string) {
	escaped := make([]any, len(texts))
	for i, text := range texts {
		escaped[i] = html.EscapeString(text)
	}
	_, _ = fmt.Fprintf(p, format, escaped...) // into memory
}

// link is the name of a schema, as a link to it.
func (p *page) link(name, text string) { p.add(`<a href="#schema-%s">%s</a>`, name, text) }

// renderDocs makes the page for people: the document, without any script, and loading nothing.
func renderDocs(doc *huma.OpenAPI) []byte {
	var p page
	p.WriteString(docsHead)
	p.add("<title>%s API</title>\n<h1>%s API</h1>\n", doc.Info.Title, doc.Info.Title)
	p.add(`<p><small>version %s · <a href="openapi.json">openapi.json</a> · <a href="openapi.yaml">openapi.yaml</a></small></p>`+"\n", doc.Info.Version)
	p.add("<p>%s</p>\n<p>Every refusal is a <a href=\"#schema-Problem\">Problem</a>.</p>\n", doc.Info.Description)
	for _, tag := range doc.Tags {
		p.add("<h2>%s</h2>\n<p>%s</p>\n", tag.Name, tag.Description)
		p.operations(doc, tag.Name)
	}
	p.add("<h2>Forms</h2>\n")
	schemas := doc.Components.Schemas.Map()
	for _, name := range slices.Sorted(maps.Keys(schemas)) {
		p.schema(name, schemas[name])
	}
	p.add("</html>\n")
	return p.Bytes()
}

// operations adds the operations of a tag, by path.
func (p *page) operations(doc *huma.OpenAPI, tag string) {
	for _, path := range slices.Sorted(maps.Keys(doc.Paths)) {
		item := doc.Paths[path]
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Delete} {
			if op != nil && slices.Contains(op.Tags, tag) {
				p.operation(path, op)
			}
		}
	}
}

func (p *page) operation(path string, op *huma.Operation) {
	p.add(`<h3 id="%s"><span class="m">%s</span> <code>%s</code></h3>`+"\n<p>%s. %s</p>\n", op.OperationID, op.Method, path, op.Summary, op.Description)
	if len(op.Parameters) > 0 {
		p.add("<table>\n")
		for _, q := range op.Parameters {
			where := q.In
			if q.Required {
				where += ", required"
			}
			p.add("<tr><td><code>%s</code> <small>%s</small><td>%s<td>%s\n", q.Name, where, typeOf(q.Schema), q.Description)
		}
		p.add("</table>\n")
	}
	p.add("<p>")
	if op.RequestBody != nil {
		if body := schemaOf(op.RequestBody.Content); body != "" {
			p.add("Body: ")
			p.link(body, body)
			p.add(". ")
		}
	}
	answer := ""
	for _, status := range []string{"201", "200"} {
		if r := op.Responses[status]; r != nil && answer == "" {
			answer = schemaOf(r.Content)
		}
	}
	if answer != "" {
		p.add("Answer: ")
		p.link(answer, answer)
		p.add(".")
	}
	p.add("</p>\n")
}

func (p *page) schema(name string, s *huma.Schema) {
	p.add(`<h3 id="schema-%s">%s</h3>`+"\n<table>\n", name, name)
	for _, field := range slices.Sorted(maps.Keys(s.Properties)) {
		f := s.Properties[field]
		p.add("<tr><td><code>%s</code>", field)
		if slices.Contains(s.Required, field) {
			p.add(" <small>always</small>")
		}
		p.add("<td>")
		link := refName(f.Ref)
		if f.Items != nil {
			link = refName(f.Items.Ref)
		}
		if link != "" {
			p.link(link, typeOf(f))
		} else {
			p.add("%s", typeOf(f))
		}
		p.add("<td>%s\n", f.Description)
	}
	p.add("</table>\n")
}

// schemaOf names the schema of a body in JSON.
func schemaOf(content map[string]*huma.MediaType) string {
	if m := content["application/json"]; m != nil && m.Schema != nil {
		return refName(m.Schema.Ref)
	}
	return ""
}

func refName(ref string) string { return strings.TrimPrefix(ref, "#/components/schemas/") }

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
func (a *API) serveDocs(doc *huma.OpenAPI) {
	made := sync.OnceValue(func() []byte { return renderDocs(doc) })
	a.mux.HandleFunc("GET /docs", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
		_, _ = w.Write(made()) // the caller is gone if this fails
	})
}
