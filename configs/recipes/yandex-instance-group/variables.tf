variable "folder_id" {
  description = "Folder of all resources."
  type        = string
  nullable    = false
}

variable "agent_service_account_id" {
  description = "Service account of the machines, of this cluster alone: it may read the cluster's secret, pull the agent's image (container-registry.images.puller) and write metrics (monitoring.editor)."
  type        = string
  nullable    = false
}

variable "image_id" {
  description = "Boot image, of the family container-optimized-image in the folder standard-images. Another one makes new machines."
  type        = string
  nullable    = false
}

variable "agent_image" {
  description = "Image of the agent: cr.yandex/<registry id>/agent:<tag>."
  type        = string
  nullable    = false
}

variable "environment" {
  description = "Installation of the platform, for the label `cluster` in Solomon: local, preprod, prod."
  type        = string
  default     = "prod"
  nullable    = false
}

variable "agent_settings" {
  description = "More settings of the agent (MR_PROBER_…), none of them secret: they are in the machines' metadata."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "platform_id" {
  description = "Hardware of the machines."
  type        = string
  default     = "standard-v3"
  nullable    = false
}

variable "cores" {
  description = "Processors of each machine."
  type        = number
  default     = 2
  nullable    = false
}

variable "memory_gigabytes" {
  description = "Memory of each machine."
  type        = number
  default     = 2
  nullable    = false
}

variable "disk_gigabytes" {
  description = "Size of each machine's disk; the image needs 30."
  type        = number
  default     = 30
  nullable    = false
}

variable "security_group_ids" {
  description = "Security groups of the machines; empty: the default one of the network."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "group_service_account_id" {
  description = "Service account with which the group makes and mends its machines (compute.editor, vpc.user, and iam.serviceAccounts.user for the machines' account)."
  type        = string
  nullable    = false
}

variable "hosts" {
  description = "Number of machines; they are called <cluster>-1, <cluster>-2, …"
  type        = number
  default     = 2
  nullable    = false

  validation {
    condition     = var.hosts >= 0 && var.hosts <= 500 && floor(var.hosts) == var.hosts
    error_message = "hosts is a whole number from 0 to 500."
  }
}

variable "network_id" {
  description = "Network of the machines."
  type        = string
  nullable    = false
}

variable "subnet_ids" {
  description = "Availability zone → subnet: {\"ru-central1-a\" = \"e9b…\"}. The group spreads its machines over the zones."
  type        = map(string)
  nullable    = false

  validation {
    condition     = length(var.subnet_ids) > 0
    error_message = "subnet_ids names at least one zone."
  }
}

# Handed over by Creator.

variable "mr_prober_cluster" {
  type = string
}

variable "mr_prober_api_url" {
  type = string
}

variable "mr_prober_agent_token" {
  type      = string
  sensitive = true
}

variable "mr_prober_fallback_url" {
  description = "Known to the cluster's agents alone."
  type        = string
  sensitive   = true
}
