variable "hosts" {
  description = "Number of machines; they are called <cluster>-1, <cluster>-2, …"
  type        = number
  default     = 3
  nullable    = false

  validation {
    condition     = var.hosts >= 0 && var.hosts <= 200 && floor(var.hosts) == var.hosts
    error_message = "hosts is a whole number from 0 to 200."
  }
}

variable "address_prefix" {
  description = "First three numbers of the machines' addresses; Linux answers on all of 127.0.0.0/8 without any set-up."
  type        = string
  default     = "127.77.0"
  nullable    = false
}

variable "machine_port" {
  description = "Port on which each machine answers TCP and UDP with an echo, so that machines can check each other."
  type        = number
  default     = 8094
  nullable    = false
}

variable "solomon_url" {
  description = "Where the agents push their metrics; empty: nowhere."
  type        = string
  default     = ""
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
