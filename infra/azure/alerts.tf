# What an operator must hear of. Everything else is in the records: "inspect" says what a job is waiting for.

resource "azurerm_monitor_metric_alert" "dead" {
  for_each = local.queue_names

  name                = "${each.value}-dead-letters"
  resource_group_name = azurerm_resource_group.this.name
  scopes              = [azurerm_servicebus_namespace.this.id]
  description         = "Messages of ${each.value} were given up; the workers' log says why they could not take them. ${each.key == "submit" ? "They have made no jobs: send them again, from the queue's dead letters." : "No job is lost."}"
  severity            = 2
  frequency           = "PT1M"
  window_size         = "PT5M"
  tags                = local.tags

  criteria {
    metric_namespace = "Microsoft.ServiceBus/namespaces"
    metric_name      = "DeadletteredMessages"
    aggregation      = "Maximum"
    operator         = "GreaterThan"
    threshold        = 0

    dimension {
      name     = "EntityName"
      operator = "Include"
      values   = [azurerm_servicebus_queue.queue[each.key].name]
    }
  }

  dynamic "action" {
    for_each = var.action_group_ids
    content {
      action_group_id = action.value
    }
  }
}

resource "azurerm_monitor_metric_alert" "waiting" {
  for_each = local.queue_names

  name                = "${each.value}-waiting"
  resource_group_name = azurerm_resource_group.this.name
  scopes              = [azurerm_servicebus_namespace.this.id]
  description         = "More messages wait in ${each.value} than the workers can take at max_replicas, for 15 minutes, or the workers fail."
  severity            = 3
  frequency           = "PT5M"
  window_size         = "PT15M"
  tags                = local.tags

  criteria {
    metric_namespace = "Microsoft.ServiceBus/namespaces"
    metric_name      = "ActiveMessages"
    aggregation      = "Minimum"
    operator         = "GreaterThan"
    threshold        = var.concurrency * var.max_replicas

    dimension {
      name     = "EntityName"
      operator = "Include"
      values   = [azurerm_servicebus_queue.queue[each.key].name]
    }
  }

  dynamic "action" {
    for_each = var.action_group_ids
    content {
      action_group_id = action.value
    }
  }
}

resource "azurerm_monitor_metric_alert" "restarts" {
  name                = "${var.name}-worker-restarts"
  resource_group_name = azurerm_resource_group.this.name
  scopes              = [azurerm_container_app.worker.id]
  description         = "Workers end and are started again. Jobs, retries and schedules wait if none stays: look at the log."
  severity            = 1
  frequency           = "PT5M"
  window_size         = "PT15M"
  tags                = local.tags

  criteria {
    metric_namespace = "Microsoft.App/containerApps"
    metric_name      = "RestartCount"
    aggregation      = "Maximum"
    operator         = "GreaterThan"
    threshold        = 3
  }

  dynamic "action" {
    for_each = var.action_group_ids
    content {
      action_group_id = action.value
    }
  }
}
