variable "project" {
  type        = string
  description = "The Google Cloud project that holds everything."
}

variable "location" {
  type        = string
  description = "Where the repository is, such as europe."
  default     = "europe"
}

variable "repository" {
  type        = string
  description = "The name of the repository for the mirrored images."
  default     = "mirror"
}

variable "immutable_tags" {
  type        = bool
  description = "Whether the registry itself refuses to move a tag. Turn it off only if the policy has mutableTags."
  default     = true
}

variable "github_repository_id" {
  type        = string
  description = "The number of the GitHub repository that holds the list: gh api repos/OWNER/NAME --jq .id. A name can be given to somebody else, a number cannot."

  validation {
    condition     = can(regex("^[0-9]+$", var.github_repository_id))
    error_message = "A number is wanted, not a name."
  }
}

variable "branch" {
  type        = string
  description = "The branch whose pushes sync, and at which pull requests are aimed."
  default     = "main"
}

variable "workflow_ref" {
  type        = string
  description = "What stands behind the @ where the reusable workflows are called: the full commit of a release, or refs/tags/NAME."

  validation {
    condition     = can(regex("^([0-9a-f]{40}|refs/tags/.+)$", var.workflow_ref))
    error_message = "A full commit or refs/tags/NAME is wanted."
  }
}

variable "workflow_repository" {
  type        = string
  description = "The repository of the reusable workflows."
  default     = "image-syncer/image-syncer"
}
