package aws

import (
	"errors"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/smithy-go"
)

// refusals are the codes of errors that mean a lack of rights.
var refusals = []string{
	"AccessDeniedException", "AccessDenied", "AuthorizationError", "AuthorizationErrorException", "InvalidSecurity",
	"UnauthorizedOperation", "Forbidden", "AWS.SimpleQueueService.AccessDenied",
}

// actions are the rights that are not named after their operation.
var actions = map[string]string{
	"SQS.SendMessageBatch": "sqs:SendMessage", "SQS.DeleteMessageBatch": "sqs:DeleteMessage",
	"SQS.ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility", "SNS.PublishBatch": "sns:Publish",
	"S3.HeadObject": "s3:GetObject", "S3.HeadBucket": "s3:ListBucket", "S3.ListObjectsV2": "s3:ListBucket", "S3.ListObjects": "s3:ListBucket",
	"S3.CreateMultipartUpload": "s3:PutObject", "S3.UploadPart": "s3:PutObject", "S3.CompleteMultipartUpload": "s3:PutObject",
	"S3.CopyObject": "s3:PutObject", "S3.DeleteObjects": "s3:DeleteObject",
}

// named finds the right and its resource in the text of an error, where Amazon tells them.
var named = regexp.MustCompile(`not authorized to perform: ([\w:*]+)(?: on resource: ("?)([^\s"]+))?`)

// denied says what to grant.
func denied(err error) string {
	var api smithy.APIError
	if !errors.As(err, &api) || !slices.Contains(refusals, api.ErrorCode()) {
		return ""
	}
	if m := named.FindStringSubmatch(api.ErrorMessage()); m != nil {
		if m[3] == "" {
			return "grant " + m[1] + " to this process's role"
		}
		return "grant " + m[1] + " on " + m[3] + " to this process's role"
	}
	var op *smithy.OperationError
	if !errors.As(err, &op) {
		return ""
	}
	action, ok := actions[op.Service()+"."+op.Operation()]
	if !ok {
		action = strings.ToLower(op.Service()) + ":" + op.Operation()
	}
	return "grant " + action + " to this process's role"
}
