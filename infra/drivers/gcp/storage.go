package gcp

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync"

	"cloud.google.com/go/compute/metadata"
	credentials "cloud.google.com/go/iam/credentials/apiv1"
	"cloud.google.com/go/iam/credentials/apiv1/credentialspb"
	"gocloud.dev/blob"
	"gocloud.dev/blob/gcsblob"
	"gocloud.dev/gcp"
	"google.golang.org/api/option"

	"github.com/piecework/piecework/infra/drivers"
)

// storageEmulator names the variable that makes the library use an emulator.
const storageEmulator = "STORAGE_EMULATOR_HOST"

// bucketURL is what a gs URL says.
type bucketURL struct {
	prefix, accessID, keyFile, universe string
	anonymous                           bool
}

func openBucket(ctx context.Context, a *drivers.Address) (drivers.Bucket, error) {
	var none drivers.Bucket
	p := a.Params
	b := bucketURL{
		prefix: p.String("prefix", ""), accessID: p.String("access_id", ""), keyFile: p.String("private_key_path", ""),
		universe: p.String("universe_domain", ""), anonymous: p.Bool("anonymous", false),
	}
	if err := a.WantHost("bucket"); err != nil {
		return none, err
	}
	if err := a.WantNoPath(); err != nil {
		return none, err
	}
	if err := a.Check(); err != nil {
		return none, err
	}
	if b.keyFile != "" && b.accessID == "" {
		return none, a.Errorf("private_key_path needs access_id, whose key it is")
	}
	ctx = context.WithoutCancel(ctx) // tokens are fetched later, too
	client, opts, err := b.connect(ctx)
	if err != nil {
		return none, err
	}
	bucket, err := gcsblob.OpenBucket(ctx, client, a.Host, opts)
	if err != nil {
		return none, err
	}
	if b.prefix != "" {
		bucket = blob.PrefixedBucket(bucket, b.prefix)
	}
	return drivers.Bucket{Bucket: bucket}, nil
}

// connect finds the credentials, and whom and what to sign URLs with.
func (b bucketURL) connect(ctx context.Context) (*gcp.HTTPClient, *gcsblob.Options, error) {
	opts := &gcsblob.Options{GoogleAccessID: b.accessID}
	if b.universe != "" {
		opts.ClientOptions = append(opts.ClientOptions, option.WithUniverseDomain(b.universe))
	}
	if b.keyFile != "" {
		key, err := os.ReadFile(b.keyFile)
		if err != nil {
			return nil, nil, fmt.Errorf("private_key_path: %w", err)
		}
		opts.PrivateKey = key
	}
	if b.anonymous || os.Getenv(storageEmulator) != "" {
		return gcp.NewAnonymousHTTPClient(gcp.DefaultTransport()), opts, nil
	}
	creds, err := gcp.DefaultCredentials(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("credentials: %w", err)
	}
	if b.keyFile == "" {
		sign(ctx, opts, creds.JSON)
	}
	client, err := gcp.NewHTTPClient(gcp.DefaultTransport(), gcp.CredentialsTokenSource(creds))
	return client, opts, err
}

// sign sets who signs URLs: the account and key in the file of the credentials, else, on Google's
// machines, their account by way of IAM. Without either, signing is refused when it is asked for.
func sign(ctx context.Context, opts *gcsblob.Options, file []byte) {
	var account struct {
		Email string `json:"client_email"`
		Key   string `json:"private_key"`
	}
	if json.Unmarshal(file, &account) == nil && account.Email != "" && (opts.GoogleAccessID == "" || opts.GoogleAccessID == account.Email) {
		opts.GoogleAccessID = account.Email
		if account.Key != "" {
			opts.PrivateKey = []byte(account.Key)
			return
		}
	}
	if opts.GoogleAccessID == "" && metadata.OnGCE() {
		opts.GoogleAccessID, _ = metadata.EmailWithContext(ctx, "") // without it nothing is signed
	}
	if opts.GoogleAccessID != "" {
		opts.MakeSignBytes = signByIAM(ctx, opts.GoogleAccessID)
	}
}

// signByIAM signs with a key that only Google has.
func signByIAM(life context.Context, account string) func(context.Context) gcsblob.SignBytesFunc {
	connect := sync.OnceValues(func() (*credentials.IamCredentialsClient, error) { return credentials.NewIamCredentialsClient(life) })
	return func(ctx context.Context) gcsblob.SignBytesFunc {
		return func(text []byte) ([]byte, error) {
			client, err := connect()
			if err != nil {
				return nil, fmt.Errorf("sign as %s: %w", account, err)
			}
			answer, err := client.SignBlob(ctx, &credentialspb.SignBlobRequest{
				Name: "projects/-/serviceAccounts/" + account, Payload: text,
			})
			if err != nil {
				return nil, fmt.Errorf("sign as %s: %w", account, err)
			}
			return answer.GetSignedBlob(), nil
		}
	}
}
