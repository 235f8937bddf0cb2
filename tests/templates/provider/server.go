package main

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/piecework/piecework/tests/templates/schema"
)

// server is the provider. What is not overridden, OpenTofu does not call for what the templates have.
type server struct {
	tfprotov6.ProviderServer

	schema *schema.Provider
	types  map[string]tftypes.Type
}

func newServer(s *schema.Provider) *server {
	out := &server{schema: s, types: map[string]tftypes.Type{}}
	for _, blocks := range []map[string]schema.Block{s.Resources, s.Data} {
		for name, b := range blocks {
			out.types[name] = protocol(b).ValueType()
		}
	}
	return out
}

// GetMetadata makes the caller ask for the schema.
func (s *server) GetMetadata(context.Context, *tfprotov6.GetMetadataRequest) (*tfprotov6.GetMetadataResponse, error) {
	return &tfprotov6.GetMetadataResponse{ServerCapabilities: &tfprotov6.ServerCapabilities{}}, nil
}

// GetProviderSchema returns the schema.
func (s *server) GetProviderSchema(
	context.Context, *tfprotov6.GetProviderSchemaRequest,
) (*tfprotov6.GetProviderSchemaResponse, error) {
	out := &tfprotov6.GetProviderSchemaResponse{
		ServerCapabilities: &tfprotov6.ServerCapabilities{}, Provider: protocol(s.schema.Config),
		ResourceSchemas: map[string]*tfprotov6.Schema{}, DataSourceSchemas: map[string]*tfprotov6.Schema{},
	}
	for name, b := range s.schema.Resources {
		out.ResourceSchemas[name] = protocol(b)
	}
	for name, b := range s.schema.Data {
		out.DataSourceSchemas[name] = protocol(b)
	}
	return out, nil
}

// ValidateProviderConfig accepts what fits the schema, which the caller has checked.
func (s *server) ValidateProviderConfig(
	_ context.Context, r *tfprotov6.ValidateProviderConfigRequest,
) (*tfprotov6.ValidateProviderConfigResponse, error) {
	return &tfprotov6.ValidateProviderConfigResponse{PreparedConfig: r.Config}, nil
}

// ConfigureProvider does nothing.
func (s *server) ConfigureProvider(
	context.Context, *tfprotov6.ConfigureProviderRequest,
) (*tfprotov6.ConfigureProviderResponse, error) {
	return &tfprotov6.ConfigureProviderResponse{}, nil
}

// StopProvider does nothing.
func (s *server) StopProvider(context.Context, *tfprotov6.StopProviderRequest) (*tfprotov6.StopProviderResponse, error) {
	return &tfprotov6.StopProviderResponse{}, nil
}

// ValidateResourceConfig accepts what fits the schema.
func (s *server) ValidateResourceConfig(
	context.Context, *tfprotov6.ValidateResourceConfigRequest,
) (*tfprotov6.ValidateResourceConfigResponse, error) {
	return &tfprotov6.ValidateResourceConfigResponse{}, nil
}

// ValidateDataResourceConfig accepts what fits the schema.
func (s *server) ValidateDataResourceConfig(
	context.Context, *tfprotov6.ValidateDataResourceConfigRequest,
) (*tfprotov6.ValidateDataResourceConfigResponse, error) {
	return &tfprotov6.ValidateDataResourceConfigResponse{}, nil
}

// UpgradeResourceState returns the state as it is.
func (s *server) UpgradeResourceState(
	_ context.Context, r *tfprotov6.UpgradeResourceStateRequest,
) (*tfprotov6.UpgradeResourceStateResponse, error) {
	value, err := r.RawState.Unmarshal(s.types[r.TypeName])
	if err != nil {
		return nil, err
	}
	state, err := tfprotov6.NewDynamicValue(s.types[r.TypeName], value)
	return &tfprotov6.UpgradeResourceStateResponse{UpgradedState: &state}, err
}

// ReadResource returns the state as it is: nothing changes behind one's back.
func (s *server) ReadResource(_ context.Context, r *tfprotov6.ReadResourceRequest) (*tfprotov6.ReadResourceResponse, error) {
	return &tfprotov6.ReadResourceResponse{NewState: r.CurrentState}, nil
}

// ReadDataSource fills in what the configuration leaves open.
func (s *server) ReadDataSource(
	_ context.Context, r *tfprotov6.ReadDataSourceRequest,
) (*tfprotov6.ReadDataSourceResponse, error) {
	state, err := s.fill(r.TypeName, s.schema.Data[r.TypeName], r.Config)
	return &tfprotov6.ReadDataSourceResponse{State: state}, err
}

// PlanResourceChange fills in what the configuration leaves open, already in the plan.
func (s *server) PlanResourceChange(
	_ context.Context, r *tfprotov6.PlanResourceChangeRequest,
) (*tfprotov6.PlanResourceChangeResponse, error) {
	state, err := s.fill(r.TypeName, s.schema.Resources[r.TypeName], r.ProposedNewState)
	return &tfprotov6.PlanResourceChangeResponse{PlannedState: state}, err
}

// ApplyResourceChange does what was planned: nothing.
func (s *server) ApplyResourceChange(
	_ context.Context, r *tfprotov6.ApplyResourceChangeRequest,
) (*tfprotov6.ApplyResourceChangeResponse, error) {
	return &tfprotov6.ApplyResourceChangeResponse{NewState: r.PlannedState}, nil
}

// told is what a cloud tells where a made-up text would not do.
var told = map[string]string{
	"aws_caller_identity.account_id": "123456789012", "aws_partition.dns_suffix": "amazonaws.com",
	"aws_partition.partition": "aws", "aws_region.region": "eu-central-1", "google_project.number": "123456789",
	"azurerm_client_config.tenant_id": "00000000-0000-0000-0000-000000000000",
}

// naming are the attributes that tell one resource of a type from another, by preference.
var naming = []string{"name", "function_name", "bucket", "account_id", "queue_url", "role", "service", "topic"}

// fill gives the attributes that only the provider knows a text with the resource's type and name in it.
func (s *server) fill(typ string, b schema.Block, from *tfprotov6.DynamicValue) (*tfprotov6.DynamicValue, error) {
	t := s.types[typ]
	value, err := from.Unmarshal(t)
	if err != nil || value.IsNull() {
		return from, err
	}
	var fields map[string]tftypes.Value
	if err := value.As(&fields); err != nil {
		return nil, err
	}
	name := "it"
	for _, n := range naming {
		if v, ok := fields[n]; ok && v.IsFullyKnown() && !v.IsNull() && v.Type().Is(tftypes.String) {
			if err := v.As(&name); err != nil {
				return nil, err
			}
			break
		}
	}
	if err := s.complete(typ, name, b, fields); err != nil {
		return nil, err
	}
	out, err := tfprotov6.NewDynamicValue(t, tftypes.NewValue(t, fields))
	return &out, err
}

// complete fills in the fields of a block, and of the blocks in it.
func (s *server) complete(typ, name string, b schema.Block, fields map[string]tftypes.Value) error {
	for field, v := range fields {
		if nested, ok := b.Blocks[field]; ok {
			filled, err := s.nested(typ, name+"."+field, nested.Block, v)
			if err != nil {
				return err
			}
			fields[field] = filled
			continue
		}
		a := b.Attributes[field]
		text, special := told[typ+"."+field]
		if !a.ReadOnly && field != "id" && !special || v.IsKnown() && !v.IsNull() {
			continue
		}
		if !special {
			text = fmt.Sprintf("%s/%s/%s", typ, name, field)
		}
		if a.Type == "string" {
			fields[field] = tftypes.NewValue(tftypes.String, text)
		} else {
			fields[field] = tftypes.NewValue(v.Type(), nil)
		}
	}
	return nil
}

// nested completes the blocks of a list or set.
func (s *server) nested(typ, name string, b schema.Block, v tftypes.Value) (tftypes.Value, error) {
	var blocks []tftypes.Value
	if !v.IsKnown() || v.IsNull() || v.Type().Is(tftypes.Object{}) {
		return v, nil
	}
	if err := v.As(&blocks); err != nil {
		return v, err
	}
	for i, one := range blocks {
		var fields map[string]tftypes.Value
		if err := one.As(&fields); err != nil {
			return v, err
		}
		if err := s.complete(typ, name, b, fields); err != nil {
			return v, err
		}
		blocks[i] = tftypes.NewValue(one.Type(), fields)
	}
	return tftypes.NewValue(v.Type(), blocks), nil
}
