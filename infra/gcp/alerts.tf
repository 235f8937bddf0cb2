# What an operator must hear of. Everything else is in the records: "inspect" says what a job is waiting for.

resource "google_monitoring_alert_policy" "dead" {
  for_each = local.queue_names

  display_name          = "${each.value}: dead letters"
  combiner              = "OR"
  notification_channels = var.notification_channels
  user_labels           = local.labels
  depends_on            = [google_project_service.needed]

  documentation {
    mime_type = "text/markdown"
    content   = "Messages of ${each.value} were given up; the service's log says why it could not take them. ${each.key == "submit" ? "They have made no jobs: publish them again within seven days, from ${each.value}-dead." : "No job is lost."}"
  }

  conditions {
    display_name = "a dead letter"

    condition_threshold {
      filter          = "resource.type = \"pubsub_subscription\" AND resource.labels.subscription_id = \"${google_pubsub_subscription.dead[each.key].name}\" AND metric.type = \"pubsub.googleapis.com/subscription/num_undelivered_messages\""
      comparison      = "COMPARISON_GT"
      threshold_value = 0
      duration        = "0s"

      aggregations {
        alignment_period   = "60s"
        per_series_aligner = "ALIGN_MAX"
      }
    }
  }
}

resource "google_monitoring_alert_policy" "age" {
  for_each = local.queue_names

  display_name          = "${each.value}: waiting"
  combiner              = "OR"
  notification_channels = var.notification_channels
  user_labels           = local.labels
  depends_on            = [google_project_service.needed]

  documentation {
    mime_type = "text/markdown"
    content   = "The oldest message of ${each.value} has waited for long: more arrives than max_instances or workers let run, or the program fails."
  }

  conditions {
    display_name = "age of the oldest message"

    condition_threshold {
      filter          = "resource.type = \"pubsub_subscription\" AND resource.labels.subscription_id = \"${google_pubsub_subscription.queue[each.key].name}\" AND metric.type = \"pubsub.googleapis.com/subscription/oldest_unacked_message_age\""
      comparison      = "COMPARISON_GT"
      threshold_value = max(900, 2 * var.request_timeout)
      duration        = "300s"

      aggregations {
        alignment_period   = "60s"
        per_series_aligner = "ALIGN_MAX"
      }
    }
  }
}

resource "google_monitoring_alert_policy" "sweep" {
  display_name          = "${var.name}: the sweep fails"
  combiner              = "OR"
  notification_channels = var.notification_channels
  user_labels           = local.labels
  depends_on            = [google_project_service.needed]

  documentation {
    mime_type = "text/markdown"
    content   = "Lost messages, dead workers, retries and scheduled jobs wait until it works again."
  }

  conditions {
    display_name = "the scheduler's call failed"

    condition_matched_log {
      filter = "resource.type=\"cloud_scheduler_job\" AND resource.labels.job_id=\"${google_cloud_scheduler_job.sweep.name}\" AND severity>=ERROR"
    }
  }

  alert_strategy {
    auto_close = "1800s"

    notification_rate_limit {
      period = "3600s"
    }
  }
}
