# The service: pushes, sweeps and the HTTP API, all on one port.

locals {
  # What every process of this deployment must have, also the doctor on a laptop.
  environment = {
    PIECEWORK_STORE  = "firestore://${var.project}/${local.collection}?database=${google_firestore_database.records.name}&ttl=true"
    PIECEWORK_QUEUES = local.queues_url
    PIECEWORK_BLOBS  = "gs://${google_storage_bucket.blobs.name}"
  }

  # What the tokens of Pub/Sub and the scheduler are for. It is a name, so that it is known before the URL is.
  audience = "https://${var.name}.${var.project}.internal"

  # How long a job may run in one request. Pub/Sub gives a request up after 600 seconds, and an instance has CPU only
  # while a request is open, so that a longer job goes on in the next before that. The start of an instance counts too.
  function_timeout = "${min(var.request_timeout, 600) - 10}s"
}

resource "google_cloud_run_v2_service" "piecework" {
  name                = var.name
  location            = var.region
  ingress             = "INGRESS_TRAFFIC_ALL"
  custom_audiences    = [local.audience]
  deletion_protection = var.deletion_protection
  labels              = local.labels

  template {
    service_account                  = google_service_account.run.email
    timeout                          = "${var.request_timeout}s"
    max_instance_request_concurrency = var.concurrency

    scaling {
      min_instance_count = 0
      max_instance_count = var.max_instances
    }

    containers {
      image = var.image
      args  = ["serve"]

      resources {
        limits            = { cpu = var.cpu, memory = var.memory }
        cpu_idle          = true
        startup_cpu_boost = true
      }

      startup_probe {
        period_seconds    = 1
        failure_threshold = 30

        http_get {
          path = "/healthz"
        }
      }

      dynamic "env" {
        for_each = merge(local.environment, {
          PIECEWORK_LOG              = var.log_level
          PIECEWORK_CONCURRENCY      = tostring(var.concurrency)
          PIECEWORK_FUNCTION_TIMEOUT = local.function_timeout
          # No PIECEWORK_PUSH_ACCOUNTS: Cloud Run itself checks who invokes the service, and takes the signature off the
          # tokens that it has checked, so that the program could not check them again.
        })
        content {
          name  = env.key
          value = env.value
        }
      }

      dynamic "env" {
        for_each = var.api_tokens_secret[*]
        content {
          name = "PIECEWORK_TOKENS"

          value_source {
            secret_key_ref {
              secret  = env.value
              version = "latest"
            }
          }
        }
      }
    }
  }

  depends_on = [
    google_project_iam_member.records, google_storage_bucket_iam_member.blobs, google_pubsub_topic_iam_member.send,
    google_secret_manager_secret_iam_member.tokens, google_firestore_index.of,
  ]
}

# Mode pull: workers that stay. They sweep too; the scheduler's sweep then finds little to do.
resource "google_cloud_run_v2_worker_pool" "worker" {
  count = local.push ? 0 : 1

  name                = "${var.name}-worker"
  location            = var.region
  launch_stage        = "BETA"
  deletion_protection = var.deletion_protection
  labels              = local.labels

  scaling {
    manual_instance_count = var.workers
  }

  template {
    service_account = google_service_account.run.email

    containers {
      image = var.image
      args  = ["worker"]

      resources {
        limits = { cpu = var.cpu, memory = var.memory }
      }

      dynamic "env" {
        for_each = merge(local.environment, {
          PIECEWORK_LOG         = var.log_level
          PIECEWORK_CONCURRENCY = tostring(var.concurrency)
          PIECEWORK_SUBMIT      = "true"
        })
        content {
          name  = env.key
          value = env.value
        }
      }
    }
  }

  depends_on = [google_pubsub_subscription_iam_member.receive, google_project_iam_member.records]
}
