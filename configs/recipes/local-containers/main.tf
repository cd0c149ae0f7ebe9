terraform {
  required_version = ">= 1.5.0"
}

# The containers wait for this file in a volume that Creator shares with them.
resource "terraform_data" "token" {
  # The token itself stays out of the state.
  triggers_replace = {
    file         = "${var.token_folder}/${var.mr_prober_cluster}"
    token_sha256 = nonsensitive(sha256(var.mr_prober_agent_token))
  }

  provisioner "local-exec" {
    command = "umask 077 && printf '%s' \"$AGENT_TOKEN\" >\"$TOKEN_FILE.draft\" && mv \"$TOKEN_FILE.draft\" \"$TOKEN_FILE\""
    environment = {
      TOKEN_FILE = self.triggers_replace.file
      # terraform prints no environment, but with a sensitive value in it it would hide why this failed.
      AGENT_TOKEN = nonsensitive(var.mr_prober_agent_token)
    }
  }

  provisioner "local-exec" {
    when        = destroy
    command     = "rm -f \"$TOKEN_FILE\""
    environment = { TOKEN_FILE = self.triggers_replace.file }
  }
}
