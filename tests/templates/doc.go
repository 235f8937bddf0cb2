// Package templates checks what lies below infra for deployments: Terraform, SAM, Compose, systemd, and the script that
// builds zip and image. It needs no account and no Docker.
//
// Terraform: OpenTofu, built from the module in tools/opentofu, formats, validates and applies each template. The
// provider is the program in provider, which has the schemas of the real ones (package schema) and creates nothing. So
// names, types, required arguments, references, validations and expressions are checked for real, and what comes out,
// queues, policies, variables, is compared with what the programs of this repository use. What a provider checks in code,
// and what only a cloud knows, is not.
//
// SAM: the template's functions are resolved, and the result is checked against the published schemas and against the
// Terraform. Compose: by the parser of Docker Compose. systemd: by systemd-analyze.
//
// The functions' rights are compared with testdata/rights.json, which tests/servers compares with what the functions ask
// of AWS.
package templates
