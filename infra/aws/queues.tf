# The queues of var.queues and one for submissions, each with its dead letters, and one for the doctor alone. A message of
# var.queues is a hint: what lands among the dead letters is no lost job, sweep sends it again. A submission there has made
# no job yet. Both say that something is wrong.

locals {
  # Seconds of the function that a queue feeds.
  fed = merge({ for queue in var.queues : queue => var.execute_timeout }, { submit = var.timeouts.submit })

  # What PIECEWORK_QUEUES stands for: {queue} is the key.
  queue_names = { for queue in keys(local.fed) : queue => "${var.name}-${queue}" }
  queues_url  = "awssqs://sqs.${local.region}.${data.aws_partition.current.dns_suffix}/${local.account}/${var.name}-{queue}?region=${local.region}"
}

resource "aws_sqs_queue" "queue" {
  for_each = local.queue_names

  name = each.value

  # Six times, as AWS advises: a throttled function gives a batch back several times before it runs.
  visibility_timeout_seconds = 6 * local.fed[each.key]
  receive_wait_time_seconds  = 20
  message_retention_seconds  = 4 * 24 * 3600

  # A function gives back what it cannot handle, each time for twice as long: ten times take an hour and a half.
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead[each.key].arn
    maxReceiveCount     = 10
  })

  sqs_managed_sse_enabled           = var.kms_key_arn == null ? true : null
  kms_master_key_id                 = var.kms_key_arn
  kms_data_key_reuse_period_seconds = var.kms_key_arn == null ? null : 3600
  tags                              = local.tags
}

resource "aws_sqs_queue" "dead" {
  for_each = local.queue_names

  name                      = "${each.value}-dlq"
  message_retention_seconds = 14 * 24 * 3600

  sqs_managed_sse_enabled           = var.kms_key_arn == null ? true : null
  kms_master_key_id                 = var.kms_key_arn
  kms_data_key_reuse_period_seconds = var.kms_key_arn == null ? null : 3600
  tags                              = local.tags
}

resource "aws_sqs_queue_redrive_allow_policy" "dead" {
  for_each = local.queue_names

  queue_url = aws_sqs_queue.dead[each.key].id
  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [aws_sqs_queue.queue[each.key].arn]
  })
}

# No function takes from this one, so what the doctor sends it also receives. Nothing in it is ever needed.
resource "aws_sqs_queue" "probe" {
  name                       = "${var.name}-probe"
  visibility_timeout_seconds = 30
  receive_wait_time_seconds  = 20
  message_retention_seconds  = 300

  sqs_managed_sse_enabled           = var.kms_key_arn == null ? true : null
  kms_master_key_id                 = var.kms_key_arn
  kms_data_key_reuse_period_seconds = var.kms_key_arn == null ? null : 3600
  tags                              = local.tags
}
