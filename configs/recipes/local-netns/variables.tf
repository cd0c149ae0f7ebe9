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
  description = "First three numbers of the machines' addresses; nobody outside ever sees them."
  type        = string
  default     = "10.77.0"
  nullable    = false
}

variable "loss_percent" {
  description = "Share of the packets that are lost on their way to the machine `lossy_host`."
  type        = number
  default     = 0
  nullable    = false

  validation {
    condition     = var.loss_percent >= 0 && var.loss_percent <= 100
    error_message = "loss_percent is a number from 0 to 100."
  }
}

variable "lossy_host" {
  description = "Number of the machine whose link loses packets."
  type        = number
  default     = 1
  nullable    = false
}

variable "machine_port" {
  description = "Port on which each machine answers TCP and UDP with an echo, so that machines can check each other."
  type        = number
  default     = 8094
  nullable    = false
}

variable "solomon_url" {
  description = "Where the agents push their metrics, on 127.0.0.1; empty: nowhere."
  type        = string
  default     = ""
  nullable    = false
}

# Handed over by Creator.

variable "mr_prober_cluster" {
  type = string
}

variable "mr_prober_api_url" {
  description = "On 127.0.0.1: the machines have no other way out."
  type        = string
}

variable "mr_prober_agent_token" {
  type      = string
  sensitive = true
}
