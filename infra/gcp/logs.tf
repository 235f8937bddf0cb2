# The logs of the program have a bucket of their own, so that they can be kept for their own time.

locals {
  log_filter = join(" OR ", [
    "(resource.type=\"cloud_run_revision\" AND resource.labels.service_name=\"${var.name}\")",
    "(resource.type=\"cloud_run_worker_pool\" AND resource.labels.worker_pool_name=\"${var.name}-worker\")",
    "(resource.type=\"cloud_scheduler_job\" AND resource.labels.job_id=\"${var.name}-sweep\")",
  ])
}

resource "google_logging_project_bucket_config" "logs" {
  project        = var.project
  location       = var.region
  bucket_id      = var.name
  retention_days = var.log_retention_days
  depends_on     = [google_project_service.needed]
}

resource "google_logging_project_sink" "logs" {
  name                   = var.name
  destination            = "logging.googleapis.com/${google_logging_project_bucket_config.logs.id}"
  filter                 = local.log_filter
  unique_writer_identity = true
}
