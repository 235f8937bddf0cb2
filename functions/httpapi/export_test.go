package httpapi

import (
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

// Document gives tests the OpenAPI document.
func (a *API) Document() *huma.OpenAPI { return a.huma.OpenAPI() }

// Pattern gives tests the route that a method and path lead to.
func (a *API) Pattern(r *http.Request) string {
	_, pattern := a.mux.Handler(r)
	return pattern
}
