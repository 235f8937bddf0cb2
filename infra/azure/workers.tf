# The workers. They sweep too.

locals {
  # What every process of this deployment must have beside PIECEWORK_STORE, also the doctor on a laptop.
  environment = {
    PIECEWORK_QUEUES = local.queues_url
    PIECEWORK_BLOBS  = "azblob://${azurerm_storage_container.blobs.name}?storage_account=${azurerm_storage_account.blobs.name}"
  }
}

resource "azurerm_log_analytics_workspace" "logs" {
  name                = var.name
  resource_group_name = azurerm_resource_group.this.name
  location            = var.location
  sku                 = "PerGB2018"
  retention_in_days   = var.log_retention_days
  tags                = local.tags
}

resource "azurerm_container_app_environment" "this" {
  name                       = var.name
  resource_group_name        = azurerm_resource_group.this.name
  location                   = var.location
  logs_destination           = "log-analytics"
  log_analytics_workspace_id = azurerm_log_analytics_workspace.logs.id
  tags                       = local.tags
}

resource "azurerm_container_app" "worker" {
  name                         = "${var.name}-worker"
  resource_group_name          = azurerm_resource_group.this.name
  container_app_environment_id = azurerm_container_app_environment.this.id
  revision_mode                = "Single"
  tags                         = local.tags
  depends_on                   = [azurerm_role_assignment.run]

  identity {
    type         = "UserAssigned"
    identity_ids = [azurerm_user_assigned_identity.run.id]
  }

  registry {
    server   = azurerm_container_registry.images.login_server
    identity = azurerm_user_assigned_identity.run.id
  }

  secret {
    name  = "store"
    value = local.store_url
  }

  template {
    min_replicas                     = var.min_replicas
    max_replicas                     = var.max_replicas
    termination_grace_period_seconds = 60

    container {
      name   = "worker"
      image  = var.image
      args   = ["worker"]
      cpu    = var.cpu
      memory = "${2 * var.cpu}Gi"

      env {
        name        = "PIECEWORK_STORE"
        secret_name = "store"
      }

      dynamic "env" {
        for_each = merge(local.environment, {
          AZURE_CLIENT_ID       = azurerm_user_assigned_identity.run.client_id
          PIECEWORK_CONCURRENCY = tostring(var.concurrency)
          PIECEWORK_LOG         = var.log_level
          PIECEWORK_SUBMIT      = "true"
        })
        content {
          name  = env.key
          value = env.value
        }
      }
    }

    dynamic "custom_scale_rule" {
      for_each = local.queue_names
      content {
        name             = replace(custom_scale_rule.value, "/[._]/", "-")
        custom_rule_type = "azure-servicebus"
        identity_id      = azurerm_user_assigned_identity.run.id

        metadata = {
          namespace    = azurerm_servicebus_namespace.this.name
          queueName    = custom_scale_rule.value
          messageCount = tostring(var.concurrency)
        }
      }
    }

    # Without a worker that stays, the clock starts one to sweep.
    dynamic "custom_scale_rule" {
      for_each = var.min_replicas == 0 ? ["sweep"] : []
      content {
        name             = custom_scale_rule.value
        custom_rule_type = "cron"

        metadata = {
          timezone        = "Etc/UTC"
          start           = "0,15,30,45 * * * *"
          end             = "3,18,33,48 * * * *"
          desiredReplicas = "1"
        }
      }
    }
  }
}
