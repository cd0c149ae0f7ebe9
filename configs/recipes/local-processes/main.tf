terraform {
  required_version = ">= 1.5.0" # terraform_data is older, what we are tested with is not
}

locals {
  machines = {
    for number in range(1, var.hosts + 1) :
    "${var.mr_prober_cluster}-${number}" => { address = "${var.address_prefix}.${number}" }
  }
}

# Destroyed after all machines: stops those that terraform has forgotten,
# because it was killed in the middle of starting one.
resource "terraform_data" "cluster" {
  triggers_replace = { cluster = var.mr_prober_cluster }

  provisioner "local-exec" {
    when        = destroy
    interpreter = ["python3", "${path.module}/machine.py"]
    command     = "stop-cluster"
    environment = { MR_PROBER_MACHINE = jsonencode(self.triggers_replace) }
  }
}

resource "terraform_data" "machine" {
  for_each   = local.machines
  depends_on = [terraform_data.cluster]

  # All that a machine is made of: a change of any of it makes a new machine.
  # The token itself stays out of the state.
  triggers_replace = {
    cluster      = var.mr_prober_cluster
    host         = each.key
    address      = each.value.address
    port         = var.machine_port
    api_url      = var.mr_prober_api_url
    solomon_url  = var.solomon_url
    token_sha256 = nonsensitive(sha256(var.mr_prober_agent_token))
  }

  # No shell: the "interpreter" is our program and the "command" its argument.
  provisioner "local-exec" {
    interpreter = ["python3", "${path.module}/machine.py"]
    command     = "start"
    environment = {
      MR_PROBER_MACHINE = jsonencode(self.triggers_replace)
      # terraform prints no environment, but with a sensitive value in it it would hide why a start failed.
      MR_PROBER_AGENT_TOKEN = nonsensitive(var.mr_prober_agent_token)
    }
  }

  provisioner "local-exec" {
    when        = destroy
    interpreter = ["python3", "${path.module}/machine.py"]
    command     = "stop"
    environment = { MR_PROBER_MACHINE = jsonencode(self.triggers_replace) }
  }
}
