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

# Each apply holds a lock that another one at the same time would not get,
# and ends only when the test says so.
SLOW = """
resource "terraform_data" "slow" {
  triggers_replace = "${path.root}"
  provisioner "local-exec" {
    command = "exec 9> $FOLDER/lock; flock -n 9 || exit 7; echo begin >> $FOLDER/marks; while [ ! -e $FOLDER/go ]; do sleep 0.05; done; echo end >> $FOLDER/marks"
    environment = { FOLDER = "FOLDER_OF_THE_TEST" }
  }
}
"""
