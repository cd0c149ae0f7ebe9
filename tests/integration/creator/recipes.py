"""Recipes that several tests of Creator deploy."""

from datetime import timedelta

NEVER_FRESH = timedelta(0)


GREETING = """
variable "greeting" {
  type = string
}

variable "mr_prober_cluster" {}

resource "terraform_data" "thing" {
  input = var.greeting
}

output "mr_prober_hosts" {
  value = { "${var.mr_prober_cluster}-1" = { address = "192.0.2.1", labels = { said = terraform_data.thing.output } } }
}
"""
