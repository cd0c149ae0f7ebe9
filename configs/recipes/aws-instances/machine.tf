# What a machine is told at boot: programs, settings, the order of things. Every program on it can read this, so nothing here is secret.

locals {
  programs = "/usr/local/lib/mr-prober"

  user_data = { for host, number in local.hosts : host => "#cloud-config\n${yamlencode({
    packages = ["docker", "iptables", "amazon-ecr-credential-helper"]
    write_files = [
      for path, file in merge(local.files, { "/etc/mr-prober/agent.env" = {
        mode = "0600"
        text = join("\n", concat([for name, value in merge(local.settings, { MR_PROBER_HOST = host }) : "${name}=${value}"], [""]))
      } }) :
      { path = path, permissions = file.mode, encoding = "b64", content = base64encode(file.text) }
    ]
    runcmd = [
      ["systemctl", "daemon-reload"],
      ["systemctl", "enable", "--now", "mr-prober-guard.service"],
      ["systemctl", "enable", "--now", "docker.service"],
      ["systemctl", "enable", "--now", "mr-prober-secret.timer"],
      concat(["docker", "run", "--detach", "--name", "mr-prober-agent", "--restart", "always", "--network", "host"],
        ["--log-opt", "max-size=10m", "--log-opt", "max-file=3", "--env-file", "/etc/mr-prober/agent.env"],
        ["--volume", "/etc/mr-prober:/etc/mr-prober:ro", "--volume", "mr-prober:/var/lib/mr-prober"],
      [var.agent_image, "sh", "-ec", local.start]),
    ]
  })}" }

  settings = merge(var.agent_settings, {
    MR_PROBER_ENVIRONMENT      = var.environment
    MR_PROBER_CLUSTER          = var.mr_prober_cluster
    MR_PROBER_API_URL          = var.mr_prober_api_url
    MR_PROBER_AGENT_TOKEN_FILE = "/etc/mr-prober/agent.token"
  })

  # Without the secret it ends, and is started again until the secret is there.
  start = "MR_PROBER_FALLBACK_URL=$(cat /etc/mr-prober/fallback-url); export MR_PROBER_FALLBACK_URL; exec python agent/main.py"

  files = {
    "${local.programs}/guard-metadata" = { mode = "0755", text = file("${path.module}/machine/guard-metadata.sh") }
    "${local.programs}/keep-secret"    = { mode = "0755", text = file("${path.module}/machine/keep-secret.sh") }
    "${local.programs}/read-secret"    = { mode = "0755", text = file("${path.module}/machine/read-secret.sh") }
    "${local.programs}/store"          = { mode = "0644", text = "${var.region}\n${aws_ssm_parameter.secret.name}\n" }
    "/root/.docker/config.json"        = { mode = "0600", text = jsonencode({ credsStore = "ecr-login" }) }

    "/etc/systemd/system/mr-prober-guard.service"         = { mode = "0644", text = file("${path.module}/machine/mr-prober-guard.service") }
    "/etc/systemd/system/mr-prober-secret.service"        = { mode = "0644", text = file("${path.module}/machine/mr-prober-secret.service") }
    "/etc/systemd/system/mr-prober-secret.timer"          = { mode = "0644", text = file("${path.module}/machine/mr-prober-secret.timer") }
    "/etc/systemd/system/docker.service.d/mr-prober.conf" = { mode = "0644", text = file("${path.module}/machine/docker-after-guard.conf") }
  }
}
