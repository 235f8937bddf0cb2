# The store. "pieceworkd init" makes the collection and its indexes, which differ between the two kinds; here are the
# servers. Their API knows passwords only, so the URL of the store is a secret.

resource "azurerm_cosmosdb_account" "records" {
  count = var.store == "serverless" ? 1 : 0

  name                       = local.unique
  resource_group_name        = azurerm_resource_group.this.name
  location                   = var.location
  offer_type                 = "Standard"
  kind                       = "MongoDB"
  mongo_server_version       = "7.0"
  minimal_tls_version        = "Tls12"
  automatic_failover_enabled = false
  tags                       = local.tags

  capabilities {
    name = "EnableMongo"
  }

  capabilities {
    name = "EnableServerless"
  }

  # A client reads what it wrote; another's write is decided by the revision.
  consistency_policy {
    consistency_level = "Session"
  }

  geo_location {
    location          = var.location
    failover_priority = 0
  }

  backup {
    type = "Continuous"
    tier = "Continuous7Days"
  }

  lifecycle {
    prevent_destroy = true
  }
}

resource "azurerm_cosmosdb_mongo_database" "records" {
  count = var.store == "serverless" ? 1 : 0

  name                = "piecework"
  resource_group_name = azurerm_resource_group.this.name
  account_name        = azurerm_cosmosdb_account.records[0].name
}

resource "azurerm_mongo_cluster" "records" {
  count = var.store == "vcore" ? 1 : 0

  name                   = local.unique
  resource_group_name    = azurerm_resource_group.this.name
  location               = var.location
  administrator_username = "piecework"
  administrator_password = var.vcore_password
  compute_tier           = var.vcore_tier
  high_availability_mode = "ZoneRedundantPreferred"
  shard_count            = 1
  storage_size_in_gb     = 32
  version                = "8.0"
  tags                   = local.tags

  lifecycle {
    prevent_destroy = true
  }
}

# Azure's word for "from within Azure".
resource "azurerm_mongo_cluster_firewall_rule" "azure" {
  count = var.store == "vcore" ? 1 : 0

  name             = "azure"
  mongo_cluster_id = azurerm_mongo_cluster.records[0].id
  start_ip_address = "0.0.0.0"
  end_ip_address   = "0.0.0.0"
}

locals {
  store_url = (
    var.store == "serverless" ?
    "mongodb://${one(azurerm_cosmosdb_account.records[*].name)}:${urlencode(one(azurerm_cosmosdb_account.records[*].primary_key))}@${one(azurerm_cosmosdb_account.records[*].name)}.mongo.cosmos.azure.com:10255/piecework?ssl=true&replicaSet=globaldb&maxIdleTimeMS=120000&appName=@${one(azurerm_cosmosdb_account.records[*].name)}@"
    : "mongodb+srv://piecework:${urlencode(var.vcore_password)}@${one(azurerm_mongo_cluster.records[*].name)}.mongocluster.cosmos.azure.com/piecework?tls=true&authMechanism=SCRAM-SHA-256&retryWrites=false&maxIdleTimeMS=120000"
  )
}
