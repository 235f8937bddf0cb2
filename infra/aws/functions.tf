# The functions. All are the same zip; PIECEWORK_FUNCTION says which one a copy is.

locals {
  # What every process of this deployment must have, also the doctor on a laptop.
  environment = {
    PIECEWORK_STORE  = "dynamodb://${aws_dynamodb_table.records.name}?region=${local.region}&ttl=true"
    PIECEWORK_QUEUES = local.queues_url
    PIECEWORK_BLOBS  = "s3://${aws_s3_bucket.blobs.bucket}?region=${local.region}"
  }

  simple = {
    for f in ["submit", "sweep", "api"] : f => { function = f, queue = null, timeout = var.timeouts[f], variables = {} }
  }
  execute = {
    for queue in var.queues : "execute-${queue}" => {
      function  = "execute"
      queue     = queue
      timeout   = var.execute_timeout
      variables = { PIECEWORK_FUNCTION_TIMEOUT = "${var.execute_timeout}s" }
    }
  }
  functions = merge(local.simple, local.execute, {
    api = merge(local.simple.api, {
      variables = { PIECEWORK_STREAM = tostring(var.api_stream), PIECEWORK_TOKENS = var.api_tokens }
    })
  })
}

resource "aws_cloudwatch_log_group" "function" {
  for_each = local.functions

  name              = "/aws/lambda/${var.name}-${each.key}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
  tags              = local.tags
}

resource "aws_lambda_function" "this" {
  for_each = local.functions

  function_name                  = "${var.name}-${each.key}"
  description                    = "Piecework: ${each.key}"
  role                           = aws_iam_role.function[each.key].arn
  filename                       = var.zip
  source_code_hash               = filebase64sha256(var.zip)
  handler                        = "bootstrap"
  runtime                        = "provided.al2023"
  architectures                  = [var.architecture]
  memory_size                    = var.memory[each.value.function]
  timeout                        = each.value.timeout
  reserved_concurrent_executions = lookup(var.reserved_concurrency, each.value.function, -1)
  kms_key_arn                    = var.kms_key_arn
  tags                           = local.tags

  environment {
    variables = merge(local.environment, each.value.variables, {
      PIECEWORK_FUNCTION = each.value.function
      PIECEWORK_LOG      = var.log_level
    })
  }

  logging_config {
    log_format = "JSON"
    log_group  = aws_cloudwatch_log_group.function[each.key].name
  }

  # Without its rights a function fails at its first start.
  depends_on = [aws_iam_role_policy.function]
}

resource "aws_lambda_event_source_mapping" "queue" {
  for_each = merge({ for f, x in local.execute : f => x.queue }, { submit = "submit" })

  event_source_arn                   = aws_sqs_queue.queue[each.value].arn
  function_name                      = aws_lambda_function.this[each.key].arn
  function_response_types            = ["ReportBatchItemFailures"]
  batch_size                         = var.batch_size
  maximum_batching_window_in_seconds = var.batching_window
  tags                               = local.tags

  scaling_config {
    maximum_concurrency = var.maximum_concurrency
  }
}

resource "aws_lambda_function_url" "api" {
  function_name      = aws_lambda_function.this["api"].function_name
  authorization_type = var.api_auth
  invoke_mode        = var.api_stream ? "RESPONSE_STREAM" : "BUFFERED"
}

# A URL without IAM is open to the network; the function's tokens decide. Both permissions are needed.
resource "aws_lambda_permission" "url" {
  count = var.api_auth == "NONE" ? 1 : 0

  statement_id           = "url"
  action                 = "lambda:InvokeFunctionUrl"
  function_name          = aws_lambda_function.this["api"].function_name
  principal              = "*"
  function_url_auth_type = "NONE"
}

resource "aws_lambda_permission" "invoke_by_url" {
  count = var.api_auth == "NONE" ? 1 : 0

  statement_id             = "invoke-by-url"
  action                   = "lambda:InvokeFunction"
  function_name            = aws_lambda_function.this["api"].function_name
  principal                = "*"
  invoked_via_function_url = true
}
