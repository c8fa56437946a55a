# The infrastructure of a mirror in Artifact Registry that GitHub fills: one repository, an account that reads for the
# plans of pull requests, an account that writes for the syncs of one branch, and what lets GitHub's runs be them.

locals {
  # Each use has an identity pool of its own, so that no token of the one can ever be taken for the other.
  uses = {
    plan = {
      role     = "roles/artifactregistry.reader"
      workflow = "plan.yml"
      # pull_request_target runs on the base branch, so its ref is that of a push. Only the event tells them apart.
      # With pull_request and merge_group the ref is one of GitHub's own making.
      condition = join(" || ", [
        "(assertion.event_name == 'pull_request_target' && assertion.ref == 'refs/heads/${var.branch}')",
        "(assertion.event_name == 'pull_request' && assertion.base_ref == '${var.branch}')",
        "(assertion.event_name == 'merge_group' && assertion.ref.startsWith('refs/heads/gh-readonly-queue/${var.branch}/'))",
      ])
    }
    sync = {
      role     = "roles/artifactregistry.writer"
      workflow = "sync.yml"
      condition = join(" && ", [
        "assertion.event_name in ['push', 'schedule', 'workflow_dispatch']",
        "assertion.ref == 'refs/heads/${var.branch}'",
      ])
    }
  }
  services = ["artifactregistry", "iam", "iamcredentials", "sts"]
}

resource "google_project_service" "needed" {
  for_each = toset(local.services)

  service            = "${each.key}.googleapis.com"
  disable_on_destroy = false
}

resource "google_artifact_registry_repository" "mirror" {
  location      = var.location
  repository_id = var.repository
  description   = "Third-party images, mirrored by image-syncer. Do not push here by hand."
  format        = "DOCKER"

  docker_config {
    immutable_tags = var.immutable_tags
  }

  depends_on = [google_project_service.needed]
}

resource "google_service_account" "use" {
  for_each = local.uses

  account_id   = "image-syncer-${each.key}"
  display_name = "image-syncer, ${each.key}"
  description  = "What ${each.value.workflow} is in Google Cloud: ${each.value.role} on ${var.repository}, and nothing else."
}

# The right is on the one repository, not on the project.
resource "google_artifact_registry_repository_iam_member" "use" {
  for_each = local.uses

  location   = google_artifact_registry_repository.mirror.location
  repository = google_artifact_registry_repository.mirror.name
  role       = each.value.role
  member     = google_service_account.use[each.key].member
}

resource "google_iam_workload_identity_pool" "use" {
  for_each = local.uses

  workload_identity_pool_id = "image-syncer-${each.key}"
  display_name              = "image-syncer, ${each.key}"
  description               = "Runs of ${each.value.workflow} on GitHub."

  depends_on = [google_project_service.needed]
}

# Who gets in: this repository, these events, this branch, and the reusable workflow at this commit. A workflow that
# somebody adds to the repository does not, and neither does a changed copy of the reusable one.
resource "google_iam_workload_identity_pool_provider" "github" {
  for_each = local.uses

  workload_identity_pool_id          = google_iam_workload_identity_pool.use[each.key].workload_identity_pool_id
  workload_identity_pool_provider_id = "github"
  display_name                       = "GitHub, ${each.key}"

  # GitHub's own subject can be longer than the 127 bytes that are allowed here, and the run says more in an audit log.
  attribute_mapping = {
    "google.subject"             = "'repository:' + assertion.repository_id + ':run:' + assertion.run_id"
    "attribute.repository_id"    = "assertion.repository_id"
    "attribute.event_name"       = "assertion.event_name"
    "attribute.ref"              = "assertion.ref"
    "attribute.job_workflow_ref" = "assertion.job_workflow_ref"
    "attribute.actor"            = "assertion.actor"
  }

  attribute_condition = join(" && ", [
    "assertion.repository_id == '${var.github_repository_id}'",
    "assertion.job_workflow_ref == '${var.workflow_repository}/.github/workflows/${each.value.workflow}@${var.workflow_ref}'",
    "(${each.value.condition})",
  ])

  oidc {
    issuer_uri = "https://token.actions.githubusercontent.com"
  }
}

resource "google_service_account_iam_member" "use" {
  for_each = local.uses

  service_account_id = google_service_account.use[each.key].name
  role               = "roles/iam.workloadIdentityUser"
  member             = "principalSet://iam.googleapis.com/${google_iam_workload_identity_pool.use[each.key].name}/*"
}
