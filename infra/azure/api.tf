# The HTTP API, if there are tokens for it. It takes no pushes and no sweeps from outside: nobody has the account that it
# would take them from.

resource "azurerm_container_app" "api" {
  count = nonsensitive(var.api_tokens) == "" ? 0 : 1

  name                         = "${var.name}-api"
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

  secret {
    name  = "tokens"
    value = var.api_tokens
  }

  ingress {
    external_enabled           = true
    allow_insecure_connections = false
    target_port                = 8080

    traffic_weight {
      latest_revision = true
      percentage      = 100
    }
  }

  template {
    min_replicas = 0
    max_replicas = 3

    http_scale_rule {
      name                = "requests"
      concurrent_requests = "50"
    }

    container {
      name   = "api"
      image  = var.image
      args   = ["serve"]
      cpu    = 0.25
      memory = "0.5Gi"

      env {
        name        = "PIECEWORK_STORE"
        secret_name = "store"
      }

      env {
        name        = "PIECEWORK_TOKENS"
        secret_name = "tokens"
      }

      dynamic "env" {
        for_each = merge(local.environment, {
          AZURE_CLIENT_ID            = azurerm_user_assigned_identity.run.client_id
          PIECEWORK_FUNCTION_TIMEOUT = "225s" # the ingress gives a request 240
          PIECEWORK_LOG              = var.log_level
          PIECEWORK_PUSH_AUDIENCE    = "https://nobody.invalid"
          PIECEWORK_PUSH_ACCOUNTS    = "nobody@nobody.invalid"
          PORT                       = "8080"
        })
        content {
          name  = env.key
          value = env.value
        }
      }

      liveness_probe {
        transport = "HTTP"
        port      = 8080
        path      = "/healthz"
      }
    }
  }
}
