package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/httpapi/wire"
	"github.com/piecework/piecework/pubsubq"
)

// APIVersion is the version of the API's description. Within /v1 it only ever gains routes and fields.
const APIVersion = "1.0.0"

// config is huma's configuration: JSON only, and neither pages nor schemas that load something from elsewhere.
func (a *API) config() huma.Config {
	config := huma.DefaultConfig("Piecework", APIVersion)
	config.OpenAPIPath, config.DocsPath, config.SchemasPath = "", "", ""
	config.CreateHooks = nil
	config.Formats = map[string]huma.Format{"application/json": faithful, "json": faithful}
	config.Transformers = []huma.Transformer{a.asProblem}
	config.Info.Description = "Background jobs: submit them, ask after them, steer them, fetch what they wrote."
	config.Info.License = &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"}
	config.Tags = []*huma.Tag{
		{Name: "jobs", Description: "Submitting, looking at and steering jobs"},
		{Name: "outputs", Description: "The files that jobs wrote"},
		{Name: "operation", Description: "Looking after the system"},
	}
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{"token": {
		Type: "http", Scheme: "bearer", Description: "A reader's token may GET, an operator's may do everything. A server without tokens answers to its own machine only, and wants none.",
	}}
	config.Security = []map[string][]string{{"token": {}}}
	return config
}

// faithful is huma's JSON, which refuses bodies with texts that encoding/json would replace, and with members that are given
// twice. Arguments are not decoded here.
var faithful = huma.Format{
	Marshal: huma.DefaultJSONFormat.Marshal,
	Unmarshal: func(data []byte, v any) error {
		if err := pubsubq.CheckText(data, "args"); err != nil {
			return fmt.Errorf("text that JSON cannot carry: %w", err)
		}
		if err := pubsubq.CheckNames(data, "args"); err != nil {
			return fmt.Errorf("ambiguous JSON: %w", err)
		}
		err := huma.DefaultJSONFormat.Unmarshal(data, v)
		if value, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			return fmt.Errorf("the %s does not fit into %s", value.Value, value.Type)
		}
		if _, ok := errors.AsType[*json.SyntaxError](err); ok {
			return fmt.Errorf("not JSON: %w", err)
		}
		return err //nolint:wrapcheck // huma tells it
	},
}

// operation is what all operations have in common.
func (a *API) operation(id, method, path, summary, tag string) huma.Operation {
	return huma.Operation{
		OperationID: id, Method: method, Path: path, Summary: summary, Tags: []string{tag},
		MaxBodyBytes: a.opts.MaxBody + 1, BodyReadTimeout: a.opts.Timeout, // huma refuses what is as long as its limit
		Responses: map[string]*huma.Response{"default": a.refusal()},
	}
}

// refusal documents problems.
func (a *API) refusal() *huma.Response {
	schema := a.huma.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[wire.Problem](), true, "Problem")
	return &huma.Response{
		Description: "A refusal, as RFC 9457 has it",
		Content:     map[string]*huma.MediaType{wire.ProblemType: {Schema: schema}},
	}
}

// describeOutput documents the route of one output, which huma does not serve.
func (a *API) describeOutput() {
	text := func(in, name, doc string, required bool) *huma.Param {
		return &huma.Param{Name: name, In: in, Description: doc, Required: required, Schema: &huma.Schema{Type: huma.TypeString}}
	}
	header := func(doc string) *huma.Header {
		return &huma.Header{Description: doc, Schema: &huma.Schema{Type: huma.TypeString}}
	}
	file := map[string]*huma.MediaType{"application/octet-stream": {Schema: &huma.Schema{}}}
	op := a.operation("get-output", http.MethodGet, "/v1/jobs/{id}/outputs/{name}", "Fetch a file", "outputs")
	op.Description = "The name may have slashes. HEAD, Range, If-Range and If-None-Match do what they should."
	op.Parameters = []*huma.Param{
		text("path", "id", "the job's id", true), text("path", "name", "the output's name", true),
		text("header", "Range", fmt.Sprintf("the part to send, as in bytes=0-99; at most %d parts", maxRanges), false),
		text("header", "If-None-Match", "an ETag: send the file only if it is another", false),
	}
	op.Responses["200"] = &huma.Response{Description: "The file", Content: file, Headers: map[string]*huma.Header{
		"ETag":                header("the file's SHA-256 in hex, in quotes; missing if it is kept in parts"),
		"Content-Disposition": header("the file's name"),
	}}
	op.Responses["206"] = &huma.Response{Description: "The part", Content: file, Headers: map[string]*huma.Header{
		"Content-Range": header("which part"),
	}}
	op.Responses["304"] = &huma.Response{Description: "It is the same"}
	a.huma.OpenAPI().AddOperation(&op)
}

// describe puts the finishing touches to the document, and serves it.
func (a *API) describe() {
	doc := a.huma.OpenAPI()
	doc.Servers = []*huma.Server{{URL: ".", Description: "where this document is"}}
	schemas := doc.Components.Schemas.Map()
	for _, name := range []string{"ErrorModel", "ErrorDetail"} { // huma's own form of refusals, which nothing here has
		delete(schemas, name)
	}
	for _, s := range schemas {
		for _, p := range s.Properties {
			p.Nullable = p.Nullable && p.Type != huma.TypeArray // a missing list is left out or empty, never null
		}
	}
	code := schemas["Problem"].Properties["code"]
	for _, name := range functions.ErrorCodes() {
		code.Enum = append(code.Enum, name)
	}
	code.PrecomputeMessages()
	submit := doc.Paths["/v1/jobs"].Post
	submit.Responses["200"] = &huma.Response{
		Description: "The key exists, and this is that job", Content: submit.Responses["201"].Content, Headers: submit.Responses["201"].Headers,
	}
	a.static("GET /openapi.json", "application/vnd.oai.openapi+json;version=3.1", func() ([]byte, error) {
		text, err := json.MarshalIndent(doc, "", "  ")
		return append(text, '\n'), err
	})
	a.static("GET /openapi.yaml", "application/vnd.oai.openapi+yaml;version=3.1", doc.YAML)
	a.serveDocs(doc)
}

// static serves what never changes, and is made when it is first asked for: a process that starts to answer one request,
// as a serverless function does, should not make what hardly anybody reads.
func (a *API) static(pattern, contentType string, generate func() ([]byte, error)) {
	made := sync.OnceValues(generate)
	a.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		body, err := made()
		if err != nil {
			a.refuse(w, r, a.problem(r.Context(), fmt.Errorf("generate the OpenAPI document: %w", err), ""))
			return
		}
		w.Header().Set("Content-Type", contentType)
		_, _ = w.Write(body) // the caller is gone if this fails
	})
}
