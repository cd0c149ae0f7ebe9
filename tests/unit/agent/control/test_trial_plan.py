"""Runs that people ask for go through the same `resolve` as all others."""

from typing import Any
from uuid import UUID

import pytest

from agent.control.messages import RefusedError
from agent.control.trial_plan import trial_prober
from common.contracts.configuration import ConfigurationDocument
from common.contracts.control import RunWanted
from common.contracts.resolution import Host, resolve

HOST = Host("h1")
PROBER_ID = UUID("01890000-0000-7000-8000-000000000101")


def document(**settings: Any) -> ConfigurationDocument:
    return ConfigurationDocument.model_validate(
        {
            "format": 1,
            "revision": 1,
            "cluster": {"id": "01890000-0000-7000-8000-000000000001", "slug": "demo"},
            "hosts": {"h1": {"address": "127.0.0.1"}, "h2": {"address": "127.0.0.2"}},
            "variables": {"zone": "a"},
            "probers": [
                {
                    "id": str(PROBER_ID),
                    "slug": "tcp",
                    "command": ["./check", "${port}"],
                    "revision": 1,
                    "revisions": {"1": []},
                    "configs": [
                        {"slug": "all", "hosts": ["h1"], "order": 1_000_000, "settings": settings}
                    ],
                }
            ],
        }
    )


def wanted(**fields: Any) -> RunWanted:
    return RunWanted.model_validate({"prober": "tcp", **fields})


MATRIX = {"port": {"values": [22, 80]}}


def test_without_wishes_it_is_the_first_run_under_an_id_of_its_own() -> None:
    described = document(matrix=MATRIX, interval_seconds=7)
    trial = trial_prober(described, HOST, wanted())
    (own,) = resolve(described, HOST)
    assert trial.runs == own.runs[:1]
    assert trial.settings == own.settings
    assert trial.id != PROBER_ID


def test_a_combination_is_chosen_by_its_text() -> None:
    trial = trial_prober(document(matrix=MATRIX), HOST, wanted(combination={"port": "80"}))
    assert trial.runs[0].arguments == ("./check", "80")
    assert trial.combinations == ({"port": 80},)


def test_values_replace_variables_and_matrix_variables_above_every_config() -> None:
    described = document(matrix=MATRIX, variables={"size": 1})
    trial = trial_prober(described, HOST, wanted(values={"port": 443, "size": "${cluster.slug}"}))
    assert trial.runs[0].arguments == ("./check", "443")
    assert trial.runs[0].environment["VAR_SIZE"] == "demo"


def test_a_batch_is_narrowed_to_the_combination() -> None:
    batch = {"port": {"values": [22, 80], "deliver": "batch"}, "target": {"values": ["h1", "h2"]}}
    described = document(matrix=batch)
    described.probers[0].command[:] = ["./check"]
    trial = trial_prober(described, HOST, wanted(combination={"port": 80}))
    assert trial.runs[0].targets == ({"port": 80, "target": "h2", "target_address": "127.0.0.2"},)


@pytest.mark.parametrize(
    ("fields", "status", "said"),
    [
        ({"prober": "dns"}, 404, "has no prober dns"),
        ({"combination": {"port": 81}}, 404, "81 is none of 22, 80"),
        ({"combination": {"host": "h1"}}, 422, "no such matrix variable"),
        ({"values": {"port": "${nobody.knows}"}}, 422, "nobody.knows"),
    ],
)
def test_says_what_is_wrong_with_a_wish(fields: Any, status: int, said: str) -> None:
    with pytest.raises(RefusedError, match=said) as refused:
        trial_prober(document(matrix=MATRIX), HOST, wanted(**fields))
    assert refused.value.status == status


def test_a_prober_that_does_not_run_here_is_not_tried_here() -> None:
    with pytest.raises(RefusedError, match="selects this host"):
        trial_prober(document(matrix=MATRIX), Host("h2"), wanted())


def test_files_of_an_author_need_no_configuration_and_see_that_of_the_cluster() -> None:
    local = {
        "command": ["./mine", "${zone}"],
        "files": [{"path": "mine", "mode": "0755", "content": "ZWNobw=="}],
        "settings": {"time_limit_seconds": 3, "variables": {"zone": "${cluster.variables.zone}"}},
    }
    trial = trial_prober(document(), HOST, wanted(prober="new", local=local))
    assert trial.runs[0].arguments == ("./mine", "a")
    assert trial.settings.time_limit_seconds == 3
    assert [file.path for file in trial.files] == ["mine"]


def test_a_value_is_chosen_in_one_way_only() -> None:
    with pytest.raises(ValueError, match="not in both"):
        wanted(combination={"port": 80}, values={"port": 81})
