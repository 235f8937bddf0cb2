output "api_url" {
  description = "Where the HTTP API is; null without api_tokens."
  value       = one([for app in azurerm_container_app.api : "https://${app.ingress[0].fqdn}"])
}

output "registry" {
  description = "Where to push the image."
  value       = azurerm_container_registry.images.login_server
}

output "submit_queue" {
  description = "The queue that other systems send to what is to become a job."
  value       = azurerm_servicebus_queue.queue["submit"].name
}

output "environment" {
  description = "What the doctor and other programs of this deployment need in their environment. It has the store's password."
  sensitive   = true
  value = merge(local.environment, {
    PIECEWORK_STORE       = local.store_url
    PIECEWORK_PROBE_QUEUE = "probe"
  })
}

output "exports" {
  description = "The same for a shell: eval \"$(terraform output -raw exports)\"."
  sensitive   = true
  value = join("\n", [for name, value in merge(local.environment, {
    PIECEWORK_STORE       = local.store_url
    PIECEWORK_PROBE_QUEUE = "probe"
  }) : "export ${name}='${value}'"])
}
