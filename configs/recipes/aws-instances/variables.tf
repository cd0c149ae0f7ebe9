variable "region" {
  description = "Region of all resources."
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

variable "subnet_ids" {
  description = "Subnets, one per availability zone; machines take turns. They must reach the API, the registry and the parameter store."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.subnet_ids) > 0
    error_message = "subnet_ids names at least one subnet."
  }
}

variable "security_group_ids" {
  description = "Security groups of the machines; null: the default one of the network."
  type        = list(string)
  default     = null
}

variable "ami" {
  description = "Image, an Amazon Linux 2023: with the AWS CLI, and Docker to install. Another one makes new machines."
  type        = string
  nullable    = false
}

variable "instance_type" {
  description = "Type of the machines."
  type        = string
  default     = "t3.small"
  nullable    = false
}

variable "disk_gigabytes" {
  description = "Size of each machine's disk, encrypted."
  type        = number
  default     = 20
  nullable    = false
}

variable "agent_image" {
  description = "Image of the agent: <registry>/<name>:<tag>."
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

variable "name_prefix" {
  description = "Begins the names of parameter and role; another one for each installation in one account."
  type        = string
  default     = "mr-prober"
  nullable    = false
}

variable "permissions_boundary" {
  description = "ARN of the policy that bounds the machines' role; null: none. Creator may be allowed to make only bounded roles."
  type        = string
  default     = null
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
