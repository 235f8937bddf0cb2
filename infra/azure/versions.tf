# Piecework on Azure: Cosmos DB through its API for MongoDB, queues of Service Bus, a storage account, and workers on
# Container Apps that pull and that the length of the queues scales.
#
# Checked how: tests/templates formats, validates and applies it with OpenTofu and a provider that creates nothing,
# with both kinds of Cosmos DB, and compares queues, rights and variables with what the programs here use. Nothing was
# created in a subscription: what only Azure knows has not been tried.

terraform {
  required_version = ">= 1.9"

  required_providers {
    azurerm = {
      source  = "hashicorp/azurerm"
      version = "~> 4.73"
    }
  }
}

provider "azurerm" {
  subscription_id     = var.subscription
  storage_use_azuread = true

  features {}
}

locals {
  tags = merge({ application = var.name }, var.tags)
}

resource "azurerm_resource_group" "this" {
  name     = var.name
  location = var.location
  tags     = local.tags
}

# Where infra/build.sh's image goes.
resource "azurerm_container_registry" "images" {
  name                = replace(local.unique, "-", "")
  resource_group_name = azurerm_resource_group.this.name
  location            = var.location
  sku                 = "Basic"
  admin_enabled       = false
  tags                = local.tags
}

locals {
  # Names of services that are the world's need something of one's own in them.
  unique = "${var.name}-${substr(sha1("${var.subscription}/${var.name}"), 0, 8)}"
}
