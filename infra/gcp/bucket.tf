# The bucket: arguments and results that are too large for a record, checkpoints and outputs, all below jobs/. Sweep
# deletes what belongs to a job with the job; the rules here are for what nobody knows of any more.

resource "google_storage_bucket" "blobs" {
  name                        = "${var.project}-${var.name}"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = !var.deletion_protection
  labels                      = local.labels
  depends_on                  = [google_project_service.needed]

  soft_delete_policy {
    retention_duration_seconds = 7 * 24 * 3600
  }

  lifecycle_rule {
    action {
      type = "AbortIncompleteMultipartUpload"
    }

    condition {
      age = 2
    }
  }

  dynamic "encryption" {
    for_each = var.kms_key[*]
    content {
      default_kms_key_name = encryption.value
    }
  }
}
