package main

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// server is the provider. What is not overridden, OpenTofu does not call for what the templates have.
type server struct {
	tfprotov6.ProviderServer

	template *template
}

// GetMetadata makes the caller ask for the schema.
func (s *server) GetMetadata(context.Context, *tfprotov6.GetMetadataRequest) (*tfprotov6.GetMetadataResponse, error) {
	return &tfprotov6.GetMetadataResponse{ServerCapabilities: &tfprotov6.ServerCapabilities{}}, nil
}

// GetProviderSchema returns the schema.
func (s *server) GetProviderSchema(
	context.Context, *tfprotov6.GetProviderSchemaRequest,
) (*tfprotov6.GetProviderSchemaResponse, error) {
	schema := func(b *block) *tfprotov6.Schema { return &tfprotov6.Schema{Block: b.schema()} }
	out := &tfprotov6.GetProviderSchemaResponse{
		ServerCapabilities: &tfprotov6.ServerCapabilities{}, Provider: schema(s.template.config),
		ResourceSchemas: map[string]*tfprotov6.Schema{}, DataSourceSchemas: map[string]*tfprotov6.Schema{},
	}
	for name, b := range s.template.resources {
		out.ResourceSchemas[name] = schema(b)
	}
	for name, b := range s.template.data {
		out.DataSourceSchemas[name] = schema(b)
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
	typ := s.template.resources[r.TypeName].typ()
	value, err := r.RawState.Unmarshal(typ)
	if err != nil {
		return nil, err
	}
	state, err := tfprotov6.NewDynamicValue(typ, value)
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
	state, err := fill(r.TypeName, s.template.data[r.TypeName], r.Config)
	return &tfprotov6.ReadDataSourceResponse{State: state}, err
}

// PlanResourceChange fills in what the configuration leaves open, already in the plan.
func (s *server) PlanResourceChange(
	_ context.Context, r *tfprotov6.PlanResourceChangeRequest,
) (*tfprotov6.PlanResourceChangeResponse, error) {
	state, err := fill(r.TypeName, s.template.resources[r.TypeName], r.ProposedNewState)
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
func fill(typ string, b *block, from *tfprotov6.DynamicValue) (*tfprotov6.DynamicValue, error) {
	t := b.typ()
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
	if err := complete(typ, name, b, fields); err != nil {
		return nil, err
	}
	out, err := tfprotov6.NewDynamicValue(t, tftypes.NewValue(t, fields))
	return &out, err
}

// complete fills in the fields of a block, and of the blocks in it.
func complete(typ, name string, b *block, fields map[string]tftypes.Value) error {
	for field, v := range fields {
		if inner := b.blocks[field]; inner != nil {
			filled, err := completeAll(typ, name+"."+field, inner, v)
			if err != nil {
				return err
			}
			fields[field] = filled
			continue
		}
		if b.arguments[field] {
			continue
		}
		text, special := told[typ+"."+field]
		if !special {
			text = fmt.Sprintf("%s/%s/%s", typ, name, field)
		}
		fields[field] = tftypes.NewValue(tftypes.String, text)
	}
	return nil
}

// completeAll completes the blocks of one name.
func completeAll(typ, name string, b *block, v tftypes.Value) (tftypes.Value, error) {
	if !v.IsKnown() || v.IsNull() {
		return v, nil
	}
	var blocks []tftypes.Value
	if err := v.As(&blocks); err != nil {
		return v, err
	}
	types := make([]tftypes.Type, len(blocks))
	for i, one := range blocks {
		var fields map[string]tftypes.Value
		if err := one.As(&fields); err != nil {
			return v, err
		}
		if err := complete(typ, name, b, fields); err != nil {
			return v, err
		}
		own := tftypes.Object{AttributeTypes: map[string]tftypes.Type{}}
		for field, value := range fields {
			own.AttributeTypes[field] = value.Type()
		}
		types[i], blocks[i] = own, tftypes.NewValue(own, fields)
	}
	if !b.dynamic() {
		return tftypes.NewValue(tftypes.List{ElementType: b.typ()}, blocks), nil
	}
	return tftypes.NewValue(tftypes.Tuple{ElementTypes: types}, blocks), nil
}
