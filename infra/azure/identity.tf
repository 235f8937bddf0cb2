# Who the program is, and what it may do: on the queues, on the container and on the registry, one by one.

resource "azurerm_user_assigned_identity" "run" {
  name                = "${var.name}-run"
  resource_group_name = azurerm_resource_group.this.name
  location            = var.location
  tags                = local.tags
}

locals {
  rights = merge(
    { for name, queue in azurerm_servicebus_queue.queue : "send-${name}" => { role = "Azure Service Bus Data Sender", scope = queue.id } if name != "submit" },
    { for name, queue in azurerm_servicebus_queue.queue : "receive-${name}" => { role = "Azure Service Bus Data Receiver", scope = queue.id } },
    {
      blobs  = { role = "Storage Blob Data Contributor", scope = azurerm_storage_container.blobs.id }
      images = { role = "AcrPull", scope = azurerm_container_registry.images.id }
    },
  )
}

resource "azurerm_role_assignment" "run" {
  for_each = local.rights

  scope                            = each.value.scope
  role_definition_name             = each.value.role
  principal_id                     = azurerm_user_assigned_identity.run.principal_id
  principal_type                   = "ServicePrincipal"
  skip_service_principal_aad_check = true
}
