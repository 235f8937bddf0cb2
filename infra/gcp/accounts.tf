# Who acts: the program, who pushes, and who schedules. None has a role on the project but the one for its database.

resource "google_service_account" "run" {
  account_id   = "${var.name}-run"
  display_name = "Piecework: the program"
}

resource "google_service_account" "caller" {
  for_each = toset(["push", "sweep"])

  account_id   = "${var.name}-${each.key}"
  display_name = "Piecework: may call the service, for ${each.key}"
}

resource "google_project_iam_member" "records" {
  project = var.project
  role    = "roles/datastore.user"
  member  = google_service_account.run.member

  condition {
    title      = "this-database-only"
    expression = "resource.name == \"${google_firestore_database.records.id}\""
  }
}

resource "google_storage_bucket_iam_member" "blobs" {
  bucket = google_storage_bucket.blobs.name
  role   = "roles/storage.objectUser"
  member = google_service_account.run.member
}

resource "google_pubsub_topic_iam_member" "send" {
  for_each = var.queues

  topic  = google_pubsub_topic.queue[each.key].id
  role   = "roles/pubsub.publisher"
  member = google_service_account.run.member
}

# To pull; pushes come by themselves.
resource "google_pubsub_subscription_iam_member" "receive" {
  for_each = local.push ? {} : local.queue_names

  subscription = google_pubsub_subscription.queue[each.key].name
  role         = "roles/pubsub.subscriber"
  member       = google_service_account.run.member
}

# URLs of outputs are signed by IAM, as the account itself.
resource "google_service_account_iam_member" "sign" {
  service_account_id = google_service_account.run.name
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = google_service_account.run.member
}

# Pub/Sub makes the tokens of its pushes as the caller.
resource "google_service_account_iam_member" "push" {
  service_account_id = google_service_account.caller["push"].name
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = local.pubsub_agent
}

resource "google_cloud_run_v2_service_iam_member" "caller" {
  for_each = merge(
    { for name, account in google_service_account.caller : name => account.member },
    { for member in var.invokers : member => member },
  )

  name     = google_cloud_run_v2_service.piecework.name
  location = var.region
  role     = "roles/run.invoker"
  member   = each.value
}

resource "google_secret_manager_secret_iam_member" "tokens" {
  count = var.api_tokens_secret == null ? 0 : 1

  secret_id = var.api_tokens_secret
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.run.member
}
