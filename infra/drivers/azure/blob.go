package azure

import (
	"context"

	"gocloud.dev/blob"
	"gocloud.dev/blob/azureblob"

	"github.com/piecework/piecework/infra/drivers"
)

// openBucket opens a container. gocloud's writer panics in Close when an upload has failed, so what
// is written goes by its Upload, and nothing but blobout should write to the bucket.
func openBucket(ctx context.Context, a *drivers.Address) (drivers.Bucket, error) {
	var none drivers.Bucket
	p := a.Params
	o := azureblob.NewDefaultServiceURLOptions() // from the environment
	fromEnv := *o
	o.AccountName = p.String("storage_account", o.AccountName)
	o.StorageDomain, o.Protocol = p.String("domain", o.StorageDomain), p.String("protocol", o.Protocol)
	o.IsLocalEmulator = p.Bool("localemu", o.IsLocalEmulator)
	prefix := p.String("prefix", "")
	if err := a.WantHost("container"); err != nil {
		return none, err
	}
	if err := a.WantNoPath(); err != nil {
		return none, err
	}
	if err := a.Check(); err != nil {
		return none, err
	}
	if o.AccountName == "" {
		return none, a.Errorf("no account: add storage_account=... or set AZURE_STORAGE_ACCOUNT")
	}
	if o.SASToken != "" && fromEnv.AccountName != "" && *o != fromEnv {
		// The token would be sent to whatever server the URL names.
		return none, a.Errorf("AZURE_STORAGE_SAS_TOKEN is for the account of the environment: do not name another in the URL")
	}
	service, err := azureblob.NewServiceURL(o)
	if err != nil {
		return none, a.Errorf("%w", err)
	}
	client, err := azureblob.NewDefaultClient(service, azureblob.ContainerName(a.Host))
	if err != nil {
		return none, err
	}
	bucket, err := azureblob.OpenBucket(ctx, client, nil)
	if err != nil {
		return none, err
	}
	if prefix != "" {
		bucket = blob.PrefixedBucket(bucket, prefix)
	}
	return drivers.Bucket{Bucket: bucket, Upload: true}, nil
}
