// Package templates checks what lies below infra for deployments: Terraform, SAM, Compose, systemd, and the script that
// builds zip and image. It needs no account and no Docker.
//
// Terraform: OpenTofu, built from the module in tools/opentofu, formats, validates and applies each
// template. The provider is the program in provider, which accepts every argument and creates
// nothing. So references, variables, validations and expressions are checked, and the queues,
// roles, routes and variables that come out are compared with what the programs of this repository
// use. The step templates of .ci/run checks names and types of arguments against the real
// providers, where they can be downloaded.
//
// SAM: the template's functions are resolved, and the result is checked against the published schemas and against the
// Terraform. Compose: by the parser of Docker Compose. systemd: by systemd-analyze.
//
// The functions' rights are compared with testdata/rights.json, which tests/servers compares with what the functions ask
// of AWS.
package templates
