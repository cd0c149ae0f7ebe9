variable "hosts" {
  description = "The containers: host name → address. docker-compose.yml starts them."
  type        = map(string)
  nullable    = false
}

variable "token_folder" {
  description = "Folder of Creator's container that the agents' containers see, too."
  type        = string
  default     = "/var/lib/agent-tokens"
  nullable    = false
}

# Handed over by Creator.

variable "mr_prober_cluster" {
  type = string
}

variable "mr_prober_agent_token" {
  type      = string
  sensitive = true
}
