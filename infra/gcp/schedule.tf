# The sweep, once a minute. One that fails is not repeated: the next does its work.

resource "google_cloud_scheduler_job" "sweep" {
  name             = "${var.name}-sweep"
  description      = "Piecework: looks at the records that are due"
  region           = var.region
  schedule         = "* * * * *"
  time_zone        = "Etc/UTC"
  attempt_deadline = "180s"
  depends_on       = [google_project_service.needed, google_cloud_run_v2_service_iam_member.caller]

  retry_config {
    retry_count = 0
  }

  http_target {
    http_method = "POST"
    uri         = "${google_cloud_run_v2_service.piecework.uri}/sweep"

    oidc_token {
      service_account_email = google_service_account.caller["sweep"].email
      audience              = local.audience
    }
  }
}
