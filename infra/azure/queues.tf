# The queues of var.queues, one for submissions, and one for the doctor alone. Each has its dead letters inside. A message
# of var.queues is a hint: what lands among the dead letters is no lost job, sweep sends it again. A submission there has
# made no job yet. Both say that something is wrong.

locals {
  queue_names = { for queue in setunion(var.queues, ["submit"]) : queue => "${var.name}-${queue}" }
  queues_url  = "azuresb://${azurerm_servicebus_namespace.this.name}.servicebus.windows.net/${var.name}-{queue}"
}

resource "azurerm_servicebus_namespace" "this" {
  name                = local.unique
  resource_group_name = azurerm_resource_group.this.name
  location            = var.location
  sku                 = "Standard"
  minimum_tls_version = "1.2"

  # Identities only, no keys.
  local_auth_enabled = false
  tags               = local.tags
}

resource "azurerm_servicebus_queue" "queue" {
  for_each = local.queue_names

  name         = each.value
  namespace_id = azurerm_servicebus_namespace.this.id

  # Workers renew the lock every ten seconds while they hold a message, so this is how soon a dead one is noticed.
  lock_duration = "PT1M"

  # Attempts are counted in the record; this bounds what nobody can read.
  max_delivery_count = 100

  requires_duplicate_detection         = false
  dead_lettering_on_message_expiration = true
  default_message_ttl                  = "P14D"
}

# Nothing else takes from this one, so what the doctor sends it also receives. Nothing in it is ever needed.
resource "azurerm_servicebus_queue" "probe" {
  name                = "${var.name}-probe"
  namespace_id        = azurerm_servicebus_namespace.this.id
  lock_duration       = "PT30S"
  default_message_ttl = "PT10M"
}
