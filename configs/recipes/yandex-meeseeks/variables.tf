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

variable "compute_nodes" {
  description = "Compute nodes, kept by yc-mr-prober-meeseeks: a machine is placed on each."
  type = list(object({
    id      = string
    name    = string
    zone    = string
    address = string
  }))
  default  = []
  nullable = false
}

variable "subnet_ids" {
  description = "Availability zone → subnet: {\"ru-central1-a\" = \"e9b…\"}; nodes of other zones get no machine."
  type        = map(string)
  nullable    = false
}

variable "affinity_key" {
  description = "Key of the affinity rule whose value is a node's id."
  type        = string
  default     = "yc.hostId"
  nullable    = false
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
