terraform {
  required_version = ">= 1.5.0"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 3.39.0"
    }
  }
}

provider "aws" {
  region = var.region
}

locals {
  name  = "${var.name_prefix}-${var.mr_prober_cluster}"
  hosts = { for number in range(1, var.hosts + 1) : "${var.mr_prober_cluster}-${number}" => number }
}

# The state holds the value, too: docs/object-storage.md says who may read states.
resource "aws_ssm_parameter" "secret" {
  name        = "/${var.name_prefix}/${var.mr_prober_cluster}/agent"
  description = "What only the agents of this cluster may know: their token, their second source."
  type        = "SecureString"
  value       = "${var.mr_prober_agent_token}\n${var.mr_prober_fallback_url}\n"
}

# A machine may read this one parameter, and nothing else of the account.
resource "aws_iam_role" "host" {
  name                 = local.name
  path                 = "/${var.name_prefix}/"
  permissions_boundary = var.permissions_boundary
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "ec2.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy" "secret" {
  name = "agent-secret"
  role = aws_iam_role.host.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = "ssm:GetParameter"
      Resource = aws_ssm_parameter.secret.arn
    }]
  })
}

resource "aws_iam_instance_profile" "host" {
  name = local.name
  path = "/${var.name_prefix}/"
  role = aws_iam_role.host.name
}

# Boot scripts run once: what a machine is told at boot makes a new machine when it changes.
resource "terraform_data" "boot" {
  for_each = local.hosts
  input    = sha256(local.user_data[each.key])
}

resource "aws_instance" "host" {
  for_each               = local.hosts
  ami                    = var.ami
  instance_type          = var.instance_type
  subnet_id              = element(var.subnet_ids, each.value - 1)
  vpc_security_group_ids = var.security_group_ids
  iam_instance_profile   = aws_iam_instance_profile.host.name
  user_data              = local.user_data[each.key]
  tags                   = { Name = each.key }
  volume_tags            = { Name = each.key }

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  root_block_device {
    volume_size = var.disk_gigabytes
    encrypted   = true
  }

  lifecycle {
    replace_triggered_by = [terraform_data.boot[each.key]]
  }
}
