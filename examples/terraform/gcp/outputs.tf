output "target_repo_prefix" {
  description = "For the input target-repo-prefix, or the policy's targetRepoPrefix."
  value       = "${google_artifact_registry_repository.mirror.location}-docker.pkg.dev/${var.project}/${google_artifact_registry_repository.mirror.name}/"
}

output "workload_identity_provider" {
  description = "For the input gcp-workload-identity-provider, of plan.yml and of sync.yml."
  value       = { for use, provider in google_iam_workload_identity_pool_provider.github : use => provider.name }
}

output "service_account" {
  description = "For the input gcp-service-account, of plan.yml and of sync.yml."
  value       = { for use, account in google_service_account.use : use => account.email }
}
