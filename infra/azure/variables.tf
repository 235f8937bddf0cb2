variable "subscription" {
  description = "The id of the subscription."
  type        = string

  validation {
    condition     = can(regex("^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$", var.subscription))
    error_message = "subscription: want its id, such as 00000000-0000-0000-0000-000000000000."
  }
}

variable "location" {
  description = "Where everything is."
  type        = string
  default     = "westeurope"
}

variable "name" {
  description = "What all names begin with, and the name of the resource group."
  type        = string
  default     = "piecework"

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{1,13}$", var.name))
    error_message = "name: want 2 to 14 lower case letters and digits, beginning with a letter."
  }
}

variable "queues" {
  description = "The queues of your kinds of jobs. Each is a Service Bus queue, and scales the workers."
  type        = set(string)
  default     = ["default"]

  validation {
    condition     = length(var.queues) > 0 && alltrue([for q in var.queues : can(regex("^[a-z0-9][a-z0-9._-]{0,49}$", q))])
    error_message = "queues: want at least one, each of 1 to 50 lower case letters, digits, dots, dashes and underscores."
  }

  validation {
    condition     = alltrue([for q in var.queues : !contains(["submit", "probe"], q)])
    error_message = "queues: \"submit\" and \"probe\" are taken."
  }
}

variable "image" {
  description = "The image, REGISTRY.azurecr.io/azure@sha256:..., as the README tells to make it."
  type        = string
}

variable "store" {
  description = "serverless: Cosmos DB for MongoDB by request units, which costs nothing while there is nothing to do. vcore: a cluster of Cosmos DB for MongoDB vCore."
  type        = string
  default     = "serverless"

  validation {
    condition     = contains(["serverless", "vcore"], var.store)
    error_message = "store: want serverless or vcore."
  }
}

variable "vcore_tier" {
  description = "The tier of the vCore cluster."
  type        = string
  default     = "M30"
}

variable "vcore_password" {
  description = "The password of the vCore cluster's administrator. Set TF_VAR_vcore_password rather than a file. It stands in Terraform's state."
  type        = string
  default     = ""
  sensitive   = true

  validation {
    condition     = var.store != "vcore" || length(var.vcore_password) >= 16
    error_message = "vcore_password: a vCore cluster needs one of at least 16 characters: set TF_VAR_vcore_password."
  }
}

variable "min_replicas" {
  description = "How many workers stay when there is nothing to do. 0: a message wakes one, and the clock one every 15 minutes to sweep, so what is due later or was lost waits that long."
  type        = number
  default     = 1

  validation {
    condition     = var.min_replicas >= 0 && var.min_replicas <= var.max_replicas
    error_message = "min_replicas: want 0 to max_replicas."
  }
}

variable "max_replicas" {
  description = "How many workers there may be at once."
  type        = number
  default     = 10

  validation {
    condition     = var.max_replicas >= 1 && var.max_replicas <= 1000
    error_message = "max_replicas: want 1 to 1000."
  }
}

variable "concurrency" {
  description = "How many jobs one worker runs at once. One more worker is started for as many messages."
  type        = number
  default     = 20

  validation {
    condition     = var.concurrency >= 1 && var.concurrency <= 10000
    error_message = "concurrency: want 1 to 10000."
  }
}

variable "cpu" {
  description = "Cores of a worker. Container Apps wants twice as many Gi of memory."
  type        = number
  default     = 0.5

  validation {
    condition     = contains([0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75, 2, 2.5, 3, 3.5, 4], var.cpu)
    error_message = "cpu: want 0.25 to 2 in steps of 0.25, or up to 4 in steps of 0.5."
  }
}

variable "api_tokens" {
  description = "PIECEWORK_TOKENS: ROLE:NAME:TOKEN, separated by commas; without them the HTTP API is not deployed. Set TF_VAR_api_tokens rather than a file. They stand in Terraform's state."
  type        = string
  default     = ""
  sensitive   = true
}

variable "log_level" {
  description = "PIECEWORK_LOG."
  type        = string
  default     = "info"

  validation {
    condition     = contains(["debug", "info", "warn", "error"], var.log_level)
    error_message = "log_level: want debug, info, warn or error."
  }
}

variable "log_retention_days" {
  description = "How long Log Analytics keeps the logs."
  type        = number
  default     = 30

  validation {
    condition     = var.log_retention_days >= 30 && var.log_retention_days <= 730
    error_message = "log_retention_days: want 30 to 730."
  }
}

variable "action_group_ids" {
  description = "Action groups that alerts are sent to. Empty: they are only seen in the portal."
  type        = list(string)
  default     = []
}

variable "tags" {
  description = "Tags of everything."
  type        = map(string)
  default     = {}
}
