variable "project" {
  description = "The id of the project."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "project: want the id of a project, not its name or number."
  }
}

variable "region" {
  description = "Where everything is."
  type        = string
  default     = "europe-west1"
}

variable "name" {
  description = "What all names begin with. A second deployment in the same project needs another."
  type        = string
  default     = "piecework"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{3,18}[a-z0-9]$", var.name))
    error_message = "name: want 5 to 20 lower case letters, digits and dashes, beginning with a letter."
  }
}

variable "queues" {
  description = "The queues of your kinds of jobs. Each gets a topic and a subscription, with dead letters."
  type        = set(string)
  default     = ["default"]

  validation {
    condition     = length(var.queues) > 0 && alltrue([for q in var.queues : can(regex("^[a-z0-9][a-z0-9._-]{0,49}$", q))])
    error_message = "queues: want at least one, each of 1 to 50 lower case letters, digits, dots, dashes and underscores."
  }

  validation {
    condition     = alltrue([for q in var.queues : !contains(["submit", "probe"], q) && !endswith(q, "-dead")])
    error_message = "queues: \"submit\", \"probe\" and names that end in -dead are taken."
  }
}

variable "mode" {
  description = "push: Pub/Sub pushes to the service, which costs nothing while there is nothing to do. pull: a worker pool pulls, for jobs that run for hours."
  type        = string
  default     = "push"

  validation {
    condition     = contains(["push", "pull"], var.mode)
    error_message = "mode: want push or pull."
  }
}

variable "image" {
  description = "The image, REGION-docker.pkg.dev/PROJECT/piecework/gcp@sha256:..., as the README tells to make it."
  type        = string
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
  description = "How long the logs are kept, in a bucket of their own."
  type        = number
  default     = 30

  validation {
    condition     = var.log_retention_days >= 1 && var.log_retention_days <= 3650
    error_message = "log_retention_days: want 1 to 3650."
  }
}

variable "kms_key" {
  description = "A Cloud KMS key (projects/.../cryptoKeys/...) for database, topics and bucket, which their service agents may use. null: Google's own."
  type        = string
  default     = null
}

variable "deletion_protection" {
  description = "Whether database and service refuse to be deleted, and the bucket to be deleted with files in it."
  type        = bool
  default     = true
}

variable "notification_channels" {
  description = "Channels of Cloud Monitoring that alerts are sent to. Empty: they are only seen in the console."
  type        = list(string)
  default     = []
}

variable "labels" {
  description = "Labels of what can have some."
  type        = map(string)
  default     = {}
}
