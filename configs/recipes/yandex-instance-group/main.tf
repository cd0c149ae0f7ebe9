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

# Boot scripts run once: what machines are told at boot makes a new group when it changes.
# Rolling would be `minimal_action = "RECREATE"`, which only the newest providers know.
resource "terraform_data" "boot" {
  input = sha256(jsonencode(local.metadata))
}

resource "yandex_compute_instance_group" "agents" {
  name               = "mr-prober-${var.mr_prober_cluster}"
  service_account_id = var.group_service_account_id
  # A machine needs the secret as soon as it boots.
  depends_on = [yandex_lockbox_secret_version.agent, yandex_lockbox_secret_iam_member.agent]

  instance_template {
    # The group fills in the number of each machine, also in the metadata.
    name               = local.host
    hostname           = local.host
    platform_id        = var.platform_id
    service_account_id = var.agent_service_account_id
    metadata           = local.metadata

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
      network_id         = var.network_id
      subnet_ids         = values(var.subnet_ids)
      security_group_ids = var.security_group_ids
    }
  }

  scale_policy {
    fixed_scale {
      size = var.hosts
    }
  }

  allocation_policy {
    zones = keys(var.subnet_ids)
  }

  deploy_policy {
    max_unavailable = 1
    max_expansion   = 0
  }

  lifecycle {
    replace_triggered_by = [terraform_data.boot]
  }
}

locals {
  host = "${var.mr_prober_cluster}-{instance.index}"
}
