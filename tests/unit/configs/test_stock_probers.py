"""The stock probers' descriptions: valid by the contracts, resolvable on a host, safe by their own rules."""

from pathlib import Path
from uuid import UUID

import pytest
from pydantic import JsonValue
from ruamel.yaml import YAML

from common.contracts.clusters import HostDescription
from common.contracts.configuration import (
    ConfigurationDocument,
    DocumentCluster,
    DocumentConfig,
    DocumentProber,
)
from common.contracts.files import FileUpload
from common.contracts.probers import ProberConfigPut, ProberCreate, ProberSettings
from common.contracts.references import cluster_variables_in
from common.contracts.resolution import EffectiveProber, Host, resolve

PROBERS = Path(__file__).parents[3] / "configs" / "probers"
SLUGS = (
    "dns-resolve",
    "disk-write",
    "http-get",
    "icmp-ping",
    "mesh-tcp",
    "tcp-connect",
    "udp-echo",
)
VARIABLES: dict[str, JsonValue] = {
    "tcp_target": "127.0.0.1:8091",
    "http_target": "http://127.0.0.1:8092/",
    "dns_server": "127.0.0.1:8093",
    "dns_name": "target.mr-prober.test",
    "machine_port": 8094,
}


def description(slug: str) -> dict[str, JsonValue]:
    loaded: dict[str, JsonValue] = YAML(typ="safe").load(PROBERS / slug / "prober.yaml")
    return loaded


def described_configs(slug: str) -> dict[str, ProberConfigPut]:
    configs = description(slug)["configs"]
    assert isinstance(configs, dict)
    return {name: ProberConfigPut.model_validate(config) for name, config in configs.items()}


def created(slug: str) -> ProberCreate:
    fields = {name: value for name, value in description(slug).items() if name != "configs"}
    files = [
        FileUpload.of(path.name, path.read_bytes())
        for path in (PROBERS / slug).iterdir()
        if path.suffix == ".py"
    ]
    return ProberCreate.model_validate({"slug": slug, "files": files, **fields})


def resolved(slug: str, host: str) -> EffectiveProber:
    prober = created(slug)
    document = ConfigurationDocument(
        format=1,
        revision=1,
        cluster=DocumentCluster(id=UUID(int=1), slug="demo"),
        hosts={
            f"demo-{number}": HostDescription(address=f"127.77.0.{number}") for number in (1, 2, 3)
        },
        variables=VARIABLES,
        probers=[
            DocumentProber(
                id=UUID(int=2),
                slug=slug,
                command=prober.command,
                defaults=prober.defaults.model_dump(mode="json", exclude_unset=True),
                revision=1,
                revisions={1: [file.reference() for file in prober.files]},
                configs=[
                    DocumentConfig(
                        slug=name,
                        settings=config.settings.model_dump(mode="json", exclude_unset=True),
                    )
                    for name, config in described_configs(slug).items()
                ],
            )
        ],
    )
    [effective] = resolve(document, Host(host))
    return effective


def test_these_are_all() -> None:
    assert sorted(path.name for path in PROBERS.iterdir() if path.is_dir()) == sorted(SLUGS)


@pytest.mark.parametrize("slug", SLUGS)
def test_is_valid_and_names_only_files_and_variables_that_exist(slug: str) -> None:
    prober = created(slug)
    assert prober.command[1] in [file.path for file in prober.files]
    for config in described_configs(slug).values():
        assert config.clusters == ["demo"]
        settings = config.settings.model_dump(mode="json")
        assert cluster_variables_in(settings) <= VARIABLES.keys()


@pytest.mark.parametrize("slug", SLUGS)
def test_gives_up_before_its_time_limit(slug: str) -> None:
    settings = ProberSettings.model_validate(description(slug)["defaults"])
    assert settings.time_limit_seconds is not None
    assert settings.interval_seconds is not None
    assert settings.time_limit_seconds < settings.interval_seconds
    own = (settings.variables or {}).get("timeout_seconds", 0)
    assert isinstance(own, int | float)
    assert own < settings.time_limit_seconds


@pytest.mark.parametrize("slug", SLUGS)
def test_resolves_on_a_host_of_the_demo(slug: str) -> None:
    prober = resolved(slug, "demo-1")
    assert prober.problem == ""
    assert prober.settings.output == "prometheus"
    assert prober.runs
    for run in prober.runs:
        assert run.arguments[0] == "python3"
        assert not any("${" in value for value in run.environment.values())


def test_the_mesh_checks_each_other_host_and_not_itself() -> None:
    runs = resolved("mesh-tcp", "demo-2").runs
    assert [run.environment["VAR_TARGET"] for run in runs] == ["demo-1", "demo-3"]
    assert [run.environment["VAR_TARGET_ADDRESS"] for run in runs] == ["127.77.0.1", "127.77.0.3"]
    assert {run.environment["VAR_MACHINE_PORT"] for run in runs} == {"8094"}
