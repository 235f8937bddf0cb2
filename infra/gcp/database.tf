# The store: what "pieceworkd init --print" says. Each index is one query of the system; the fields that nobody asks are
# taken out of the indexes that Firestore keeps by itself, since each of those costs a write.

locals {
  collection = "piecework"

  # The order of the second field is the order that lists are read in.
  indexes = {
    due  = { fields = ["due_pk", "due_sk"], order = "ASCENDING" }
    list = { fields = ["list_pk", "list_sk"], order = "DESCENDING" }
    fail = { fields = ["fail_pk", "fail_sk"], order = "DESCENDING" }
  }
  unindexed = ["data", "due_pk", "due_sk", "list_pk", "list_sk", "fail_pk", "fail_sk"]
}

resource "google_firestore_database" "records" {
  name                              = var.name
  location_id                       = var.region
  type                              = "FIRESTORE_NATIVE"
  concurrency_mode                  = "OPTIMISTIC"
  point_in_time_recovery_enablement = "POINT_IN_TIME_RECOVERY_ENABLED"
  delete_protection_state           = var.deletion_protection ? "DELETE_PROTECTION_ENABLED" : "DELETE_PROTECTION_DISABLED"
  deletion_policy                   = "DELETE"
  depends_on                        = [google_project_service.needed]

  dynamic "cmek_config" {
    for_each = var.kms_key[*]
    content {
      kms_key_name = cmek_config.value
    }
  }
}

resource "google_firestore_index" "of" {
  for_each = local.indexes

  database    = google_firestore_database.records.name
  collection  = local.collection
  query_scope = "COLLECTION"

  fields {
    field_path = each.value.fields[0]
    order      = "ASCENDING"
  }

  fields {
    field_path = each.value.fields[1]
    order      = each.value.order
  }
}

resource "google_firestore_field" "unindexed" {
  for_each = toset(local.unindexed)

  database   = google_firestore_database.records.name
  collection = local.collection
  field      = each.value

  # Empty: no index.
  index_config {}
}

resource "google_firestore_field" "expires" {
  database   = google_firestore_database.records.name
  collection = local.collection
  field      = "expires"

  index_config {}
  ttl_config {}
}
