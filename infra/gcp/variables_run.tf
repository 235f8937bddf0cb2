variable "request_timeout" {
  description = "Seconds that one request to the service may take. A job may take longer: it goes on with the next."
  type        = number
  default     = 3600

  validation {
    condition     = var.request_timeout >= 30 && var.request_timeout <= 3600
    error_message = "request_timeout: want 30 to 3600 seconds."
  }
}

variable "concurrency" {
  description = "How many jobs one instance runs at once."
  type        = number
  default     = 20

  validation {
    condition     = var.concurrency >= 1 && var.concurrency <= 1000
    error_message = "concurrency: want 1 to 1000."
  }
}

variable "cpu" {
  description = "Cores of an instance, as Cloud Run writes them."
  type        = string
  default     = "1"
}

variable "memory" {
  description = "Memory of an instance, as Cloud Run writes it."
  type        = string
  default     = "512Mi"
}

variable "max_instances" {
  description = "How many instances of the service there may be at once."
  type        = number
  default     = 20

  validation {
    condition     = var.max_instances >= 1
    error_message = "max_instances: want at least 1."
  }
}

variable "workers" {
  description = "How many instances the worker pool has, in mode pull. It does not scale by itself."
  type        = number
  default     = 1

  validation {
    condition     = var.workers >= 0
    error_message = "workers: want 0 or more."
  }
}

variable "api_tokens_secret" {
  description = "The name of a secret of Secret Manager in this project with PIECEWORK_TOKENS, ROLE:NAME:TOKEN separated by commas. null: the HTTP API refuses all."
  type        = string
  default     = null
}

variable "invokers" {
  description = "Who may call the service beside Pub/Sub and the scheduler, such as user:you@example.com. They may start jobs by pushing messages, as Pub/Sub does; for the HTTP API they need a token of its own as well."
  type        = list(string)
  default     = []
}
