# A topic and a subscription for each of var.queues, and one for submissions, each with its dead letters; and one for the
# doctor alone. A message of var.queues is a hint: what lands among the dead letters is no lost job, sweep sends it again. A
# submission there has made no job yet. Both say that something is wrong.

locals {
  queue_names = { for queue in setunion(var.queues, ["submit"]) : queue => "${var.name}-${queue}" }
  queues_url  = "gcppubsub://${var.project}/${var.name}-{queue}"

  # Whom Pub/Sub itself acts as.
  pubsub_agent = "serviceAccount:service-${data.google_project.this.number}@gcp-sa-pubsub.iam.gserviceaccount.com"
}

resource "google_pubsub_topic" "queue" {
  for_each = merge(local.queue_names, { probe = "${var.name}-probe" })

  name         = each.value
  kms_key_name = var.kms_key
  labels       = local.labels
  depends_on   = [google_project_service.needed]
}

resource "google_pubsub_topic" "dead" {
  for_each = local.queue_names

  name         = "${each.value}-dead"
  kms_key_name = var.kms_key
  labels       = local.labels
  depends_on   = [google_project_service.needed]
}

resource "google_pubsub_subscription" "queue" {
  for_each = local.queue_names

  name                       = each.value
  topic                      = google_pubsub_topic.queue[each.key].id
  message_retention_duration = "604800s"
  labels                     = local.labels

  # The longest that there is for a push, which is acknowledged when its job has ended or goes on in the next. A pull is
  # acknowledged when its job is claimed.
  ack_deadline_seconds = local.push ? 600 : 60

  # Never: an idle deployment stays one.
  expiration_policy {
    ttl = ""
  }

  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }

  # A hint that is given up is sent again by sweep. A submission is not, so it has as many attempts as there may be: they
  # last half a day.
  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.dead[each.key].id
    max_delivery_attempts = each.key == "submit" ? 100 : 20
  }

  dynamic "push_config" {
    for_each = local.push ? [each.key == "submit" ? "submit" : "execute"] : []
    content {
      push_endpoint = "${google_cloud_run_v2_service.piecework.uri}/push/${push_config.value}"

      oidc_token {
        service_account_email = google_service_account.caller["push"].email
        audience              = local.audience
      }
    }
  }

  depends_on = [google_pubsub_topic_iam_member.dead]
}

# Who looks at the dead letters reads them here. Nothing takes them away for seven days, and the alert counts them.
resource "google_pubsub_subscription" "dead" {
  for_each = local.queue_names

  name                       = "${each.value}-dead"
  topic                      = google_pubsub_topic.dead[each.key].id
  message_retention_duration = "604800s"
  ack_deadline_seconds       = 60
  labels                     = local.labels

  expiration_policy {
    ttl = ""
  }
}

# Nothing else takes from this one, so what the doctor sends it also receives. Nothing in it is ever needed.
resource "google_pubsub_subscription" "probe" {
  name                       = "${var.name}-probe"
  topic                      = google_pubsub_topic.queue["probe"].id
  message_retention_duration = "600s"
  ack_deadline_seconds       = 30
  labels                     = local.labels

  expiration_policy {
    ttl = ""
  }
}

# Pub/Sub moves dead letters as itself.
resource "google_pubsub_topic_iam_member" "dead" {
  for_each = local.queue_names

  topic  = google_pubsub_topic.dead[each.key].id
  role   = "roles/pubsub.publisher"
  member = local.pubsub_agent
}

resource "google_pubsub_subscription_iam_member" "dead" {
  for_each = local.queue_names

  subscription = google_pubsub_subscription.queue[each.key].name
  role         = "roles/pubsub.subscriber"
  member       = local.pubsub_agent
}
