# What a machine is told at boot: programs, settings, the order of things. Every program on it can read this, so nothing here is secret.

locals {
  programs = "/usr/local/lib/mr-prober"

  # In base64, so that no brace of a program is taken for a placeholder.
  user_data = "#cloud-config\n${yamlencode({
    write_files = [
      for path, file in local.files :
      { path = path, permissions = file.mode, encoding = "b64", content = base64encode(file.text) }
    ]
    runcmd = [
      ["systemctl", "daemon-reload"],
      ["systemctl", "enable", "--now", "mr-prober-guard.service"],
      ["systemctl", "enable", "--now", "mr-prober-secret.timer"],
    ]
  })}"

  metadata = { for node in keys(local.nodes) : node => {
    user-data = local.user_data
    docker-compose = yamlencode({
      version = "3.7"
      services = {
        agent = {
          container_name    = "mr-prober-agent"
          image             = var.agent_image
          command           = ["sh", "-ec", local.start]
          network_mode      = "host"
          restart           = "always"
          stop_grace_period = "30s"
          environment       = merge(local.settings, { MR_PROBER_HOST = "${var.mr_prober_cluster}-${node}" })
          volumes           = ["/etc/mr-prober:/etc/mr-prober:ro", "/var/lib/mr-prober:/var/lib/mr-prober"]
          logging           = { driver = "json-file", options = { max-size = "10m", max-file = "3" } }
        }
      }
    })
  } }

  settings = merge(var.agent_settings, {
    MR_PROBER_ENVIRONMENT      = var.environment
    MR_PROBER_CLUSTER          = var.mr_prober_cluster
    MR_PROBER_API_URL          = var.mr_prober_api_url
    MR_PROBER_AGENT_TOKEN_FILE = "/etc/mr-prober/agent.token"
  })

  # Without the secret it ends, and is started again until the secret is there. Compose makes `$` of `$$`.
  start = "MR_PROBER_FALLBACK_URL=$$(cat /etc/mr-prober/fallback-url); export MR_PROBER_FALLBACK_URL; exec python agent/main.py"

  files = {
    "${local.programs}/guard-metadata" = { mode = "0755", text = file("${path.module}/machine/guard-metadata.sh") }
    "${local.programs}/keep-secret"    = { mode = "0755", text = file("${path.module}/machine/keep-secret.sh") }
    "${local.programs}/read-secret"    = { mode = "0755", text = file("${path.module}/machine/read-secret.py") }
    "${local.programs}/store"          = { mode = "0644", text = "${yandex_lockbox_secret.agent.id}\n" }

    "/etc/systemd/system/mr-prober-guard.service"  = { mode = "0644", text = file("${path.module}/machine/mr-prober-guard.service") }
    "/etc/systemd/system/mr-prober-secret.service" = { mode = "0644", text = file("${path.module}/machine/mr-prober-secret.service") }
    "/etc/systemd/system/mr-prober-secret.timer"   = { mode = "0644", text = file("${path.module}/machine/mr-prober-secret.timer") }

    "/etc/systemd/system/docker.service.d/mr-prober.conf" = { mode = "0644", text = file("${path.module}/machine/docker-after-guard.conf") }
  }
}
