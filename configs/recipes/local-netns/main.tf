terraform {
  required_version = ">= 1.5.0" # terraform_data is older, what we are tested with is not
}

locals {
  machines = {
    for number in range(1, var.hosts + 1) :
    "${var.mr_prober_cluster}-${number}" => { number = number, address = "${var.address_prefix}.${number}" }
  }
}

# Made before all machines and destroyed after them: then it also stops those that terraform has forgotten,
# because it was killed in the middle of starting one.
resource "terraform_data" "switch" {
  triggers_replace = { cluster = var.mr_prober_cluster }

  # No shell: the "interpreter" is our program and the "command" its argument.
  provisioner "local-exec" {
    interpreter = ["python3", "${path.module}/machine.py"]
    command     = "make-switch"
    environment = { MR_PROBER_MACHINE = jsonencode(self.triggers_replace) }
  }

  provisioner "local-exec" {
    when        = destroy
    interpreter = ["python3", "${path.module}/machine.py"]
    command     = "remove-switch"
    environment = { MR_PROBER_MACHINE = jsonencode(self.triggers_replace) }
  }
}

resource "terraform_data" "machine" {
  for_each   = local.machines
  depends_on = [terraform_data.switch]

  # All that a machine is made of: a change of any of it makes a new machine.
  # The token itself stays out of the state.
  triggers_replace = {
    cluster      = var.mr_prober_cluster
    host         = each.key
    number       = each.value.number
    address      = each.value.address
    port         = var.machine_port
    api_url      = var.mr_prober_api_url
    solomon_url  = var.solomon_url
    token_sha256 = nonsensitive(sha256(var.mr_prober_agent_token))
  }

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

# Apart from the machine: another loss is no reason for a new machine. It goes with the machine's wire.
resource "terraform_data" "link" {
  for_each = local.machines

  triggers_replace = {
    machine      = terraform_data.machine[each.key].id
    cluster      = var.mr_prober_cluster
    number       = each.value.number
    loss_percent = each.value.number == var.lossy_host ? var.loss_percent : 0
  }

  provisioner "local-exec" {
    interpreter = ["python3", "${path.module}/machine.py"]
    command     = "set-loss"
    environment = { MR_PROBER_MACHINE = jsonencode(self.triggers_replace) }
  }
}
