variable "name" {
  description = "What all names begin with. A second deployment in the same account and region needs another."
  type        = string
  default     = "piecework"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,30}$", var.name))
    error_message = "name: want 2 to 31 lower case letters, digits and dashes, beginning with a letter."
  }
}

variable "queues" {
  description = "The queues of your kinds of jobs. Each is an SQS queue, and gets a dead-letter queue and an execute function."
  type        = set(string)
  default     = ["default"]

  validation {
    condition     = length(var.queues) > 0 && alltrue([for q in var.queues : can(regex("^[a-z0-9][a-z0-9_-]{0,29}$", q))])
    error_message = "queues: want at least one, each of 1 to 30 lower case letters, digits, dashes and underscores (SQS has no dots)."
  }

  validation {
    condition     = alltrue([for q in var.queues : !contains(["submit", "probe"], q) && !endswith(q, "-dlq")])
    error_message = "queues: \"submit\", \"probe\" and names that end in -dlq are taken."
  }
}

variable "zip" {
  description = "The zip that infra/build.sh made."
  type        = string
  default     = "../../bin/piecework-aws-arm64.zip"
}

variable "architecture" {
  description = "What the zip was built for: arm64, which costs less, or x86_64 (build.sh calls it amd64)."
  type        = string
  default     = "arm64"

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "architecture: want arm64 or x86_64."
  }
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
  description = "How long CloudWatch keeps the logs."
  type        = number
  default     = 30

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days: CloudWatch knows 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400 and some longer ones."
  }
}

variable "kms_key_arn" {
  description = "A KMS key for table, queues, bucket, logs and environment variables. Its policy must let CloudWatch Logs of this region use it. null: AWS's own keys, at no cost."
  type        = string
  default     = null
}

variable "deletion_protection" {
  description = "Whether the table refuses to be deleted, and the bucket to be deleted with files in it."
  type        = bool
  default     = true
}

variable "alarm_topic_arns" {
  description = "SNS topics that alarms are sent to. Empty: alarms are only seen in CloudWatch."
  type        = list(string)
  default     = []
}

variable "tags" {
  description = "Tags of everything."
  type        = map(string)
  default     = {}
}
