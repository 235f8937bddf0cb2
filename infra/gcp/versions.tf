# Piecework on Google Cloud: a Firestore database, a bucket, a topic with a subscription for each queue, and one Cloud Run
# service that Pub/Sub pushes to (mode "push"), or a worker pool that pulls (mode "pull").
#
# Checked how: tests/templates formats, validates and applies it with OpenTofu and a provider that creates nothing,
# in both modes, and compares indexes, subscriptions, routes and variables with what the programs here use. Nothing was
# created in a project: what only Google knows has not been tried.

terraform {
  required_version = ">= 1.9"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 6.50"
    }
  }
}

provider "google" {
  project = var.project
  region  = var.region
}

data "google_project" "this" {
  project_id = var.project
}

locals {
  labels = merge({ application = var.name }, var.labels)
  push   = var.mode == "push"
}

resource "google_project_service" "needed" {
  for_each = toset([
    "artifactregistry.googleapis.com", "cloudscheduler.googleapis.com", "firestore.googleapis.com",
    "iamcredentials.googleapis.com", "logging.googleapis.com", "monitoring.googleapis.com", "pubsub.googleapis.com",
    "run.googleapis.com", "secretmanager.googleapis.com", "storage.googleapis.com",
  ])

  service            = each.value
  disable_on_destroy = false
}

# Where infra/build.sh's image goes.
resource "google_artifact_registry_repository" "images" {
  repository_id = var.name
  location      = var.region
  format        = "DOCKER"
  labels        = local.labels
  depends_on    = [google_project_service.needed]

  cleanup_policies {
    id     = "keep-ten"
    action = "KEEP"

    most_recent_versions {
      keep_count = 10
    }
  }

  cleanup_policies {
    id     = "delete-older-than-30-days"
    action = "DELETE"

    condition {
      older_than = "2592000s"
    }
  }
}
