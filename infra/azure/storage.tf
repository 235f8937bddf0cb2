# The container: arguments and results that are too large for a record, checkpoints and outputs, all below jobs/. Sweep
# deletes what belongs to a job with the job; the rules here are for what nobody knows of any more. Blocks that were
# uploaded and never committed Azure deletes by itself after a week.

resource "azurerm_storage_account" "blobs" {
  name                            = replace(local.unique, "-", "")
  resource_group_name             = azurerm_resource_group.this.name
  location                        = var.location
  account_tier                    = "Standard"
  account_replication_type        = "ZRS"
  min_tls_version                 = "TLS1_2"
  https_traffic_only_enabled      = true
  allow_nested_items_to_be_public = false

  # Identities only, no keys. Signed URLs of outputs need a key: they are the price.
  shared_access_key_enabled = false
  tags                      = local.tags

  blob_properties {
    versioning_enabled = true

    delete_retention_policy {
      days = 7
    }

    container_delete_retention_policy {
      days = 7
    }
  }
}

resource "azurerm_storage_container" "blobs" {
  name                  = "blobs"
  storage_account_id    = azurerm_storage_account.blobs.id
  container_access_type = "private"

  lifecycle {
    prevent_destroy = true
  }
}

resource "azurerm_storage_management_policy" "blobs" {
  storage_account_id = azurerm_storage_account.blobs.id

  rule {
    name    = "versions-of-deleted-files"
    enabled = true

    filters {
      blob_types   = ["blockBlob"]
      prefix_match = ["${azurerm_storage_container.blobs.name}/jobs/"]
    }

    actions {
      version {
        delete_after_days_since_creation = 7
      }
    }
  }
}
