# Piecework on AWS: a table, a bucket, queues, and the functions submit, execute, sweep and api, which are one binary each
# with another PIECEWORK_FUNCTION.
#
# Checked how: tests/templates formats, validates and applies it with OpenTofu and a provider that creates nothing,
# and compares table, queues, policies and variables with what the programs here use. Nothing was
# created in an account: what only AWS knows, quotas for instance, has not been tried.

terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.29"
    }
  }
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}

locals {
  account = data.aws_caller_identity.current.account_id
  region  = data.aws_region.current.region
  tags    = merge({ application = var.name }, var.tags)
}
