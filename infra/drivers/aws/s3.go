package aws

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"gocloud.dev/blob"
	"gocloud.dev/blob/s3blob"

	"github.com/piecework/piecework/infra/drivers"
)

// bucketURL is what an s3 URL says.
type bucketURL struct {
	prefix     string
	encryption types.ServerSideEncryption
	key        string
	accelerate bool
	pathStyle  bool
}

func openBucket(ctx context.Context, a *drivers.Address) (drivers.Bucket, error) {
	var none drivers.Bucket
	p := a.Params
	elsewhere := p.String("endpoint", "") != ""
	b := bucketURL{
		prefix:     p.String("prefix", ""),
		encryption: types.ServerSideEncryption(p.String("ssetype", "")),
		key:        p.String("kmskeyid", ""),
		accelerate: p.Bool("accelerate", false),
		// Amazon resolves BUCKET.host by DNS; a server of one's own seldom does.
		pathStyle: p.Bool("use_path_style", elsewhere),
	}
	if err := a.WantHost("bucket"); err != nil {
		return none, err
	}
	if err := a.WantNoPath(); err != nil {
		return none, err
	}
	if known := b.encryption.Values(); b.encryption != "" && !slices.Contains(known, b.encryption) {
		return none, a.Errorf("ssetype=%q: want one of %v", b.encryption, known)
	}
	checksums := p.String("request_checksum_calculation", "") != ""
	s, err := newSession(ctx, a, "")
	if err != nil {
		return none, err
	}
	if elsewhere && !checksums {
		// The SDK's newer checksums are unknown to many compatibles.
		s.config.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		s.config.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
	}
	client := s3.NewFromConfig(s.config, func(o *s3.Options) {
		o.BaseEndpoint, o.UsePathStyle, o.UseAccelerate = s.endpoint, b.pathStyle, b.accelerate
	})
	bucket, err := s3blob.OpenBucket(ctx, client, a.Host, &s3blob.Options{
		EncryptionType: b.encryption, KMSEncryptionID: b.key,
		RequestChecksumCalculation: s.config.RequestChecksumCalculation, // the uploader does not take it from the client
	})
	if err != nil {
		return none, err
	}
	if b.prefix != "" {
		bucket = blob.PrefixedBucket(bucket, b.prefix)
	}
	return drivers.Bucket{Bucket: bucket}, nil
}
