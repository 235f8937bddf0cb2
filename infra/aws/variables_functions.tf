variable "memory" {
  description = "Memory in MB of each function; the CPU goes with it. 1769 is one core."
  type        = object({ submit = number, execute = number, sweep = number, api = number })
  default     = { submit = 256, execute = 1769, sweep = 256, api = 512 }

  validation {
    condition     = alltrue([for m in values(var.memory) : m >= 128 && m <= 10240])
    error_message = "memory: want 128 to 10240 MB."
  }
}

variable "execute_timeout" {
  description = "Seconds that one invocation of execute may take. A job may take longer: it goes on in the next. The visibility timeout of its queues is six times this."
  type        = number
  default     = 900

  validation {
    condition     = var.execute_timeout >= 30 && var.execute_timeout <= 900
    error_message = "execute_timeout: want 30 to 900 seconds."
  }
}

variable "timeouts" {
  description = "Seconds that one invocation of the other functions may take. The visibility of the submit queue is six times that of submit."
  type        = object({ submit = number, sweep = number, api = number })
  default     = { submit = 30, sweep = 120, api = 60 }

  validation {
    condition     = alltrue([for t in values(var.timeouts) : t >= 5 && t <= 900])
    error_message = "timeouts: want 5 to 900 seconds."
  }
}

variable "batch_size" {
  description = "How many messages one invocation of execute or submit gets at most. Its jobs run side by side."
  type        = number
  default     = 10

  validation {
    condition     = var.batch_size >= 1 && var.batch_size <= 10000
    error_message = "batch_size: want 1 to 10000."
  }
}

variable "batching_window" {
  description = "Seconds to wait for a batch to fill. 0 starts jobs at once."
  type        = number
  default     = 0

  validation {
    condition     = var.batching_window >= 0 && var.batching_window <= 300 && (var.batch_size <= 10 || var.batching_window >= 1)
    error_message = "batching_window: want 0 to 300 seconds, and at least 1 if batch_size is over 10."
  }
}

variable "maximum_concurrency" {
  description = "How many invocations a queue may cause at once, each of up to batch_size jobs."
  type        = number
  default     = 50

  validation {
    condition     = var.maximum_concurrency >= 2 && var.maximum_concurrency <= 1000
    error_message = "maximum_concurrency: want 2 to 1000."
  }
}

variable "reserved_concurrency" {
  description = "Concurrency that is reserved for, and bounds, each function: keys submit, sweep, api and execute (for each queue). A missing key: none."
  type        = map(number)
  default     = {}

  validation {
    condition     = alltrue([for f in keys(var.reserved_concurrency) : contains(["submit", "execute", "sweep", "api"], f)])
    error_message = "reserved_concurrency: the keys are submit, execute, sweep and api."
  }

  validation {
    condition     = alltrue([for f, n in var.reserved_concurrency : n >= var.maximum_concurrency if contains(["submit", "execute"], f)])
    error_message = "reserved_concurrency: what is less than maximum_concurrency makes SQS's invocations fail; lower that instead."
  }
}

variable "api_auth" {
  description = "Who may call the API's URL: AWS_IAM, whoever may invoke the function, or NONE, whoever has one of api_tokens."
  type        = string
  default     = "AWS_IAM"

  validation {
    condition     = contains(["AWS_IAM", "NONE"], var.api_auth)
    error_message = "api_auth: want AWS_IAM or NONE."
  }
}

variable "api_tokens" {
  description = "PIECEWORK_TOKENS: ROLE:NAME:TOKEN, separated by commas. Set TF_VAR_api_tokens rather than a file. It stands in Terraform's state and in the function's encrypted environment."
  type        = string
  default     = ""
  sensitive   = true

  validation {
    condition     = var.api_auth != "NONE" || var.api_tokens != ""
    error_message = "api_tokens: without IAM (api_auth = \"NONE\") the API needs tokens: set TF_VAR_api_tokens."
  }
}

variable "api_stream" {
  description = "Whether the API streams its answers, for outputs over 6 MB."
  type        = bool
  default     = false
}
