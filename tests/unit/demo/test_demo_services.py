"""What the demo starts, and what it says about a grid."""

import shlex
from datetime import UTC, datetime
from pathlib import Path

from common.contracts.agents import Grid, GridCell, GridHost, Presence
from common.contracts.states import State
from demo.demonstration import Plan, synchronize_hint
from demo.progress import in_one_line, sentence
from demo.services import Folders, Ports, common_environment, services

FOLDERS = Folders(project=Path("/project"), demo=Path("/demo"), configs=Path("/configs"))
PORTS = Ports(api=1, solomon=2, tcp_target=3, http_target=4, dns_target=5)
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


def test_targets_start_first_and_creator_last() -> None:
    environment = common_environment(FOLDERS, PORTS, path="/bin", home="/")
    names = [service.name for service in services(FOLDERS, PORTS, environment)]
    assert names == ["targets", "solomon_stand_in", "api", "creator"]


def test_everything_that_services_write_is_in_the_demo_folder() -> None:
    environment = common_environment(FOLDERS, PORTS, path="/bin", home="/")
    assert environment["MR_PROBER_DATA_DIR"] == "/demo/data"
    assert environment["MR_PROBER_DATABASE_URL"] == "sqlite:////demo/database.sqlite"
    assert environment["MR_PROBER_SOLOMON_STAND_IN_DATABASE"].startswith("/demo/")


def _grid(*states: State) -> Grid:
    cells = {
        f"prober-{number}": GridCell(states=str(int(state)), state=state, combinations=[""], reasons={}, last_run_at=None)
        for number, state in enumerate(states)
    }  # fmt: skip
    host = GridHost(
        name="demo-1", address="", presence=Presence.REPORTING, reported_at=MOMENT,
        agent_version="", problem="", conflict=False, cells=cells,
    )  # fmt: skip
    return Grid(
        cluster="demo", document_revision=1, generated_at=MOMENT, probers=list(cells), hosts=[host]
    )


def test_a_sentence_counts_cells_by_state() -> None:
    grid = _grid(State.SUCCESS, State.NOT_RUN_YET, State.SUCCESS)
    assert sentence(grid) == "3 cells: 2 success, 1 not run yet"


def test_an_empty_grid_says_so() -> None:
    assert sentence(_grid()) == "no cells yet"


def test_the_line_to_synchronize_again_works_in_any_folder() -> None:
    folders = Folders(
        project=Path("/project"), demo=Path("/my demo"), configs=Path("/my demo/configs")
    )
    plan = Plan(folders, PORTS, common_environment(folders, PORTS, path="/bin", home="/"))
    *settings, program, command = shlex.split(synchronize_hint(plan))
    assert settings == [
        "MR_PROBER_API_URL=http://127.0.0.1:1",
        "MR_PROBER_API_KEY_FILE=/my demo/data/admin.key",
        "MR_PROBER_CONFIGS=/my demo/configs",
    ]
    assert Path(program).is_absolute()
    assert command == "apply"


def test_an_error_in_one_line_says_what_and_why() -> None:
    block = """\
Error: local-exec provisioner error

  with terraform_data.machine["demo-2"],
  on main.tf line 42, in resource "terraform_data" "machine":
  42:   provisioner "local-exec" {

Error running command 'start': exit status 1. Output: machine: demo-2 did not
start: cannot listen on 127.77.0.2:8094: Address already in use"""
    expected = (
        "Error: local-exec provisioner error Error running command 'start': exit status 1."
        " Output: machine: demo-2 did not start: cannot listen on 127.77.0.2:8094: Address already in use"
    )
    assert in_one_line(f"{block}\n\n\n{block.replace('demo-2', 'demo-3')}") == expected
    assert in_one_line("terraform init was interrupted") == "terraform init was interrupted"
