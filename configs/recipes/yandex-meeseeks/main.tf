terraform {
  required_version = ">= 1.5.0"
  required_providers {
    yandex = {
      source  = "yandex-cloud/yandex"
      version = ">= 0.136.0"
    }
  }
}

# Creator's own credentials: on a machine of the cloud its service account, else YC_… of terraform's configuration.
provider "yandex" {
  folder_id = var.folder_id
}

# The state holds the value, too: docs/object-storage.md says who may read states.
resource "yandex_lockbox_secret" "agent" {
  name        = "mr-prober-${var.mr_prober_cluster}"
  description = "What only the agents of this cluster may know: their token, their second source."
}

resource "yandex_lockbox_secret_version" "agent" {
  secret_id = yandex_lockbox_secret.agent.id

  entries {
    key        = "agent-token"
    text_value = var.mr_prober_agent_token
  }

  dynamic "entries" {
    for_each = nonsensitive(var.mr_prober_fallback_url == "") ? [] : ["fallback-url"]
    content {
      key        = entries.value
      text_value = var.mr_prober_fallback_url
    }
  }

  # The current version of a secret cannot be destroyed.
  lifecycle {
    create_before_destroy = true
  }
}

# The machines may read this one secret.
resource "yandex_lockbox_secret_iam_member" "agent" {
  secret_id = yandex_lockbox_secret.agent.id
  role      = "lockbox.payloadViewer"
  member    = "serviceAccount:${var.agent_service_account_id}"
}

locals {
  nodes = { for node in var.compute_nodes : node.name => node if contains(keys(var.subnet_ids), node.zone) }
}

# Boot scripts run once: what a machine is told at boot makes a new machine when it changes.
resource "terraform_data" "boot" {
  for_each = local.nodes
  input    = sha256(jsonencode(local.metadata[each.key]))
}

resource "yandex_compute_instance" "agent" {
  for_each           = local.nodes
  name               = "${var.mr_prober_cluster}-${each.key}"
  hostname           = "${var.mr_prober_cluster}-${each.key}"
  zone               = each.value.zone
  platform_id        = var.platform_id
  service_account_id = var.agent_service_account_id
  metadata           = local.metadata[each.key]
  labels             = { mr-prober-cluster = var.mr_prober_cluster }
  # A machine needs the secret as soon as it boots.
  depends_on = [yandex_lockbox_secret_version.agent, yandex_lockbox_secret_iam_member.agent]

  metadata_options {
    gce_http_endpoint    = 1
    gce_http_token       = 1
    aws_v1_http_endpoint = 2
    aws_v1_http_token    = 2
  }

  resources {
    cores  = var.cores
    memory = var.memory_gigabytes
  }

  boot_disk {
    initialize_params {
      image_id = var.image_id
      size     = var.disk_gigabytes
    }
  }

  network_interface {
    subnet_id          = var.subnet_ids[each.value.zone]
    security_group_ids = var.security_group_ids
  }

  placement_policy {
    host_affinity_rules = [{ key = var.affinity_key, op = "IN", values = [each.value.id] }]
  }

  lifecycle {
    replace_triggered_by = [terraform_data.boot[each.key]]
  }
}
