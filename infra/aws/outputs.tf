output "api_url" {
  description = "Where the HTTP API is."
  value       = aws_lambda_function_url.api.function_url
}

output "queue_urls" {
  description = "The URLs of the queues by name; other systems send what is to become a job to \"submit\"."
  value       = { for name, queue in aws_sqs_queue.queue : name => queue.url }
}

output "table" {
  description = "The table of the records."
  value       = aws_dynamodb_table.records.name
}

output "bucket" {
  description = "The bucket of the blobs."
  value       = aws_s3_bucket.blobs.bucket
}

output "environment" {
  description = "What the doctor and other programs of this deployment need in their environment."
  value = merge(local.environment, {
    PIECEWORK_PROBE_QUEUE      = "probe"
    PIECEWORK_FUNCTION_TIMEOUT = "${var.execute_timeout}s"
  })
}

output "exports" {
  description = "The same for a shell: eval \"$(terraform output -raw exports)\"."
  value = join("\n", [for name, value in merge(local.environment, {
    PIECEWORK_PROBE_QUEUE      = "probe"
    PIECEWORK_FUNCTION_TIMEOUT = "${var.execute_timeout}s"
  }) : "export ${name}='${value}'"])
}
