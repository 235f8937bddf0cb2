# A role for each function, with what that function does and nothing else. tests/servers records what the functions ask
# of AWS and compares it with these lists.

locals {
  table_arn   = aws_dynamodb_table.records.arn
  bucket_arn  = aws_s3_bucket.blobs.arn
  queue_arns  = [for queue in sort(var.queues) : aws_sqs_queue.queue[queue].arn]
  table_reads = ["dynamodb:DescribeTable", "dynamodb:BatchGetItem"]

  # Actions by what they are done to. A file is looked at before it is deleted, which is GetObject; and without ListBucket a
  # missing one is "denied" instead of "not found".
  rights = {
    submit = {
      table = concat(local.table_reads, ["dynamodb:PutItem"])
      index = []
      blobs = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
      list  = ["s3:ListBucket"]
    }
    execute = {
      table = concat(local.table_reads, ["dynamodb:UpdateItem"])
      index = []
      blobs = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
      list  = ["s3:ListBucket"]
    }
    sweep = {
      table = concat(local.table_reads, ["dynamodb:UpdateItem", "dynamodb:DeleteItem"])
      index = ["dynamodb:Query"]
      blobs = ["s3:GetObject", "s3:DeleteObject"]
      list  = ["s3:ListBucket"]
    }
    api = {
      table = concat(local.table_reads, ["dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"])
      index = ["dynamodb:Query"]
      blobs = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
      list  = ["s3:ListBucket"]
    }
  }
}

resource "aws_iam_role" "function" {
  for_each = local.functions

  name = "${var.name}-${local.region}-${each.key}"
  tags = local.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "lambda.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy" "function" {
  for_each = local.functions

  name = "work"
  role = aws_iam_role.function[each.key].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [for s in [
      { Sid = "Records", Action = local.rights[each.value.function].table, Resource = [local.table_arn] },
      { Sid = "Indexes", Action = local.rights[each.value.function].index, Resource = ["${local.table_arn}/index/*"] },
      { Sid = "Blobs", Action = local.rights[each.value.function].blobs, Resource = ["${local.bucket_arn}/jobs/*"] },
      { Sid = "ListBlobs", Action = local.rights[each.value.function].list, Resource = [local.bucket_arn] },
      { Sid = "Send", Action = ["sqs:SendMessage"], Resource = local.queue_arns },
      {
        Sid      = "Receive"
        Action   = each.value.function == "submit" || each.value.queue != null ? ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes"] : []
        Resource = [try(aws_sqs_queue.queue[coalesce(each.value.queue, each.key)].arn, null)]
      },
      {
        Sid      = "Log"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = ["${aws_cloudwatch_log_group.function[each.key].arn}:*"]
      },
      {
        Sid      = "Key"
        Action   = var.kms_key_arn == null ? [] : ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource = var.kms_key_arn[*]
      },
    ] : merge(s, { Effect = "Allow" }) if length(s.Action) > 0]
  })
}
