output "api_url" {
  description = "Where the HTTP API is."
  value       = google_cloud_run_v2_service.piecework.uri
}

output "repository" {
  description = "Where to push the image."
  value       = "${var.region}-docker.pkg.dev/${var.project}/${google_artifact_registry_repository.images.repository_id}"
}

output "submit_topic" {
  description = "The topic that other systems publish to what is to become a job."
  value       = google_pubsub_topic.queue["submit"].id
}

output "environment" {
  description = "What the doctor and other programs of this deployment need in their environment."
  value = merge(local.environment, {
    PIECEWORK_PROBE_QUEUE      = "probe"
    PIECEWORK_FUNCTION_TIMEOUT = local.function_timeout
  })
}

output "exports" {
  description = "The same for a shell: eval \"$(terraform output -raw exports)\"."
  value = join("\n", [for name, value in merge(local.environment, {
    PIECEWORK_PROBE_QUEUE      = "probe"
    PIECEWORK_FUNCTION_TIMEOUT = local.function_timeout
  }) : "export ${name}='${value}'"])
}
