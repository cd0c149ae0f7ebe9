"""Meeseeks against the real API and a real gRPC server: what its user does, on both databases."""

import json
import re
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from common.api_client import ANY_VERSION, ApiClient
from common.contracts.clusters import ClusterCreate, VariablePut
from common.contracts.files import FileUpload
from common.contracts.recipes import RecipeCreate
from common.errors import ApiRefusedError
from solomon_stand_in.classic_body import metrics_of
from tests.integration.api.test_api_tls import Authority
from tests.integration.common.test_metadata_tokens import MetadataService
from tests.integration.common.test_metadata_tokens import service as metadata_service  # noqa: F401 - a fixture
from tests.integration.tools.conftest import RunningApi
from tests.integration.tools.meeseeks.compute_admin import (
    ComputeAdmin,
    Mischief,
    aborting,
    answering,
)
from tools.meeseeks.main import run
from tools.meeseeks.node_service import Specs

ROOT = Path(__file__).parents[4]
Meeseeks = Callable[..., int]
Output = pytest.CaptureFixture[str]


def promised_declaration() -> str:
    """The variable as proto_specs/README.md tells authors of recipes to declare it."""
    found = re.search(r"```hcl\n(.*?)```", (ROOT / "proto_specs/README.md").read_text(), re.DOTALL)
    assert found
    return found[1]


class SolomonEar:
    """Takes every push and remembers it: path, authorization, body."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str, bytes]] = []
        heard = self.heard

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                heard.append((self.path, self.headers["Authorization"], body))
                self.send_response(200)
                answer = b'{"sensorsProcessed": 1}'
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
                """Say nothing."""

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def end(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def client(api: RunningApi) -> ApiClient:
    """Our API with a cluster `meeseeks`."""
    made = api.client()
    main = FileUpload.of("main.tf", promised_declaration().encode())
    made.create_recipe(RecipeCreate(slug="vms", files=[main]))
    made.create_cluster(ClusterCreate(slug="meeseeks", recipe="vms"))
    return made


def stored(client: ApiClient, name: str = "compute_nodes") -> list[Any]:
    value = client.variable("meeseeks", name).value
    assert isinstance(value, list)
    return value


def names(client: ApiClient) -> list[str]:
    return [node["name"] for node in stored(client)]


def as_json(capsys: Output) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(capsys.readouterr().out)
    return value


@pytest.mark.parametrize("api", ["sqlite", "postgresql"], indirect=True)
def test_a_day_of_an_operator(
    client: ApiClient, admin: ComputeAdmin, meeseeks: Meeseeks, capsys: Output
) -> None:
    _the_first_list(client, admin, meeseeks, capsys)
    _the_same_nodes_are_no_change(client, admin, meeseeks)
    _one_goes_and_one_comes(client, admin, meeseeks)
    _half_a_list_is_refused_until_forced(client, admin, meeseeks, capsys)
    _somebody_faster_keeps_what_he_wrote(client, admin, meeseeks, capsys)


def _the_first_list(
    client: ApiClient, admin: ComputeAdmin, meeseeks: Meeseeks, capsys: Output
) -> None:
    admin.fill(20)
    assert meeseeks() == 2
    assert "20 listed, 20 wanted, 0 known: 20 to add, 0 to remove" in capsys.readouterr().out
    with pytest.raises(ApiRefusedError):
        client.variable("meeseeks", "compute_nodes")
    assert meeseeks("apply") == 0
    assert client.variable("meeseeks", "compute_nodes").managed_by == "meeseeks"
    assert names(client) == [f"node-{number:04}" for number in (*range(0, 20, 2), *range(1, 20, 2))]


def _the_same_nodes_are_no_change(
    client: ApiClient, admin: ComputeAdmin, meeseeks: Meeseeks
) -> None:
    before = client.variable("meeseeks", "compute_nodes")
    admin.nodes.reverse()
    admin.nodes[0]["status"] = 2
    assert meeseeks("plan") == meeseeks("apply") == 0
    assert client.variable("meeseeks", "compute_nodes") == before


def _one_goes_and_one_comes(client: ApiClient, admin: ComputeAdmin, meeseeks: Meeseeks) -> None:
    before = names(client)
    admin.nodes.pop()
    admin.nodes.append({"id": "new", "fqdn": "node-new.zone-b.example.net", "zone_id": "zone-b"})
    assert meeseeks() == 2
    assert meeseeks("apply") == 0
    assert names(client) == [*before[1:], "node-new"]
    assert stored(client)[-1] == {"id": "new", "name": "node-new", "zone": "zone-b", "address": ""}


def _half_a_list_is_refused_until_forced(
    client: ApiClient, admin: ComputeAdmin, meeseeks: Meeseeks, capsys: Output
) -> None:
    admin.always = answering(next_page_token="")
    capsys.readouterr()
    assert meeseeks() == meeseeks("apply") == 1
    said = capsys.readouterr().out
    assert "! the Compute Admin API counts 20 nodes, but its list has 3" in said
    assert "! 17 of 20 nodes would be removed, more than 30%" in said
    assert len(names(client)) == 20
    assert meeseeks("--force") == 2
    assert meeseeks("apply", "--force") == 0
    assert len(names(client)) == 3
    admin.always = None


def _somebody_faster_keeps_what_he_wrote(
    client: ApiClient, admin: ComputeAdmin, meeseeks: Meeseeks, capsys: Output
) -> None:
    def change_meanwhile(_request: Any, _context: Any, answer: Any) -> Any:
        put = VariablePut(value=[], managed_by="meeseeks")
        client.put_variable("meeseeks", "compute_nodes", put, etag=ANY_VERSION)
        return answer

    def create_meanwhile(_request: Any, _context: Any, answer: Any) -> Any:
        client.put_variable("meeseeks", "others", VariablePut(value=[]))
        return answer

    capsys.readouterr()
    admin.mischief = [change_meanwhile]
    assert meeseeks("apply") == 4
    assert "was changed meanwhile by somebody else" in capsys.readouterr().out
    assert names(client) == []
    admin.mischief = [create_meanwhile]
    assert meeseeks("apply", "--variable", "others") == 4
    assert stored(client, "others") == []
    assert meeseeks("apply") == 0
    assert len(names(client)) == 20


def test_whose_the_variable_is_and_what_the_services_refuse(
    client: ApiClient, admin: ComputeAdmin, meeseeks: Meeseeks, capsys: Output
) -> None:
    admin.fill(2)
    put = VariablePut(value=[], managed_by="synchronize")
    client.put_variable("meeseeks", "compute_nodes", put)
    assert meeseeks("apply", "--force") == 1
    assert "managed by synchronize, not by meeseeks: --adopt takes it" in capsys.readouterr().out
    assert client.variable("meeseeks", "compute_nodes").managed_by == "synchronize"
    assert meeseeks("apply", "--adopt") == 0
    assert client.variable("meeseeks", "compute_nodes").managed_by == "meeseeks"
    assert meeseeks("apply") == 0

    capsys.readouterr()
    admin.mischief = [aborting("PERMISSION_DENIED", "no role compute.admin.viewer")]
    assert meeseeks("apply") == 1
    assert "PERMISSION_DENIED: no role compute.admin.viewer" in capsys.readouterr().out
    assert meeseeks("apply", "--cluster", "nobody") == 1
    assert "there is no cluster nobody: create it" in capsys.readouterr().out
    client.put_variable("meeseeks", "secret", VariablePut(value=[], sensitive=True))
    assert meeseeks("apply", "--adopt", "--force", "--variable", "secret") == 1
    assert "is sensitive: nobody can read it" in capsys.readouterr().out


def test_names_and_filters_are_options_before_and_after_the_command(
    client: ApiClient, admin: ComputeAdmin, meeseeks: Meeseeks, capsys: Output
) -> None:
    client.create_cluster(ClusterCreate(slug="other", recipe="vms"))
    admin.fill(6)
    admin.nodes[0]["labels"] = admin.nodes[1]["labels"] = {"rack": "r1"}
    admin.nodes[2]["status"] = 2
    common = ("--cluster", "other", "--variable", "nodes")
    assert meeseeks(*common, "--zone", "zone-a", "apply", "--state", "up", "--json") == 0
    result = as_json(capsys)
    assert [node["name"] for node in result["added"]] == ["node-0000", "node-0004"]
    assert result["outcome"] == "applied"
    assert client.variable("other", "nodes").managed_by == "meeseeks"
    assert admin.requests[-1].filter == 'zone_id IN ("zone-a") AND status IN ("UP")'

    assert meeseeks("plan", *common, "--label", "rack=r1", "--json", "--zone", "zone-a") == 2
    assert [node["name"] for node in as_json(capsys)["removed"]] == ["node-0004"]
    with pytest.raises(ApiRefusedError):
        client.variable("meeseeks", "compute_nodes")

    # Thousands of them are no other case.
    admin.fill(3000, zones=("zone-a", "zone-b", "zone-d"))
    admin.page_size = 500
    assert meeseeks("apply") == 0
    assert len(names(client)) == 3000
    assert meeseeks("apply") == 0


def test_tokens_tls_and_metrics_are_as_the_settings_say(
    client: ApiClient,
    specs: Specs,
    meeseeks: Meeseeks,
    metadata_service: MetadataService,  # noqa: F811 - the fixture
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    authority = Authority("ours")
    admin = ComputeAdmin(specs, tls=authority.issue(tmp_path))
    solomon = SolomonEar()
    try:
        admin.fill(2)
        for name, value in {
            "COMPUTE_ADMIN_ENDPOINT": admin.address,
            "COMPUTE_ADMIN_AUTHORITIES": authority.written(tmp_path / "ours.pem"),
            "COMPUTE_ADMIN_PLAINTEXT": "false",
            "METADATA_URL": metadata_service.url,
            "MEESEEKS_METRICS_FILE": tmp_path / "meeseeks.prom",
            "SOLOMON_URL": solomon.url,
            "SOLOMON_TOKEN": "solomon-token",
            "ENVIRONMENT": "preprod",
            "HOST": "operator-1",
        }.items():
            monkeypatch.setenv(f"MR_PROBER_{name}", str(value))
        assert meeseeks("apply") == 0
        assert len(names(client)) == 2
        monkeypatch.delenv("MR_PROBER_COMPUTE_ADMIN_TOKEN")
        assert meeseeks() == 0
        (tmp_path / "token").write_text("of-a-file\n")
        monkeypatch.setenv("MR_PROBER_COMPUTE_ADMIN_TOKEN_FILE", str(tmp_path / "token"))
        assert meeseeks() == 0
    finally:
        admin.stop()
        solomon.end()
    assert admin.authorizations == ["Bearer planted-token", "Bearer t1.1", "Bearer of-a-file"]
    assert 'rounds_total{outcome="unchanged"} 1.0' in (tmp_path / "meeseeks.prom").read_text()
    path, authorization, body = solomon.heard[0]
    assert path == "/api/v2/push?project=mr_prober&cluster=preprod&service=mr_prober"
    assert authorization == "OAuth solomon-token"
    taken = metrics_of(body, now=datetime.now(UTC))
    assert "mr_prober_meeseeks_wanted_nodes" in {dict(one.labels)["name"] for one in taken}
    assert {dict(one.labels)["host"] for one in taken} == {"operator-1"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--endpoint", "admin.example.net:1"], "is not on loopback"),
        (["--endpoint", "nonsense"], "'nonsense' is not the Compute Admin API's host:port"),
        (["--api-url", "http://127.0.0.1:1"], "the API at http://127.0.0.1:1 cannot be reached"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_1(
    meeseeks_without_api: Meeseeks, capsys: Output, arguments: list[str], said: str
) -> None:
    assert meeseeks_without_api("apply", *arguments) == 1
    out, errors = capsys.readouterr()
    assert said in out + errors
    assert "Traceback" not in out + errors


@pytest.mark.parametrize(
    "arguments", [["--watch", "--force"], ["apply", "--watch", "--adopt"], ["--stat", "up"], ["--label", "rack"], ["--interval", "0"], ["destroy"], ["--state", "sleepy"]]
)  # fmt: skip
def test_wrong_usage_is_64(arguments: list[str]) -> None:
    assert run(arguments) == 64


def _total(count: int) -> Mischief:
    return answering(total_size=count)


def _every_page_twice(request: Any, _context: Any, answer: Any) -> Any:
    answer.nodes.extend(list(answer.nodes))
    return answer


def _never_ending(request: Any, _context: Any, answer: Any) -> Any:
    answer.next_page_token = f"{int(request.page_token or 0) + 1}"
    return answer


LIES = [
    (_total(9), "! the Compute Admin API counts 9 nodes, but its list has 7"),
    (_total(5), "! the Compute Admin API counts 5 nodes, but its list has 7"),
    (answering(next_page_token="3"), "! paging is broken: after page 2 it leads back to a page"),
    (_every_page_twice, "! the list holds nodes more than once: id0000, id0001"),
    (_never_ending, "! paging is broken: it has not ended after 1000 pages"),
]


def test_a_list_that_contradicts_itself_changes_nothing_unless_forced(
    client: ApiClient, admin: ComputeAdmin, meeseeks: Meeseeks, capsys: Output
) -> None:
    admin.fill(7)
    for lie, told in LIES:
        admin.always = lie
        begin = len(admin.requests)
        assert (meeseeks("apply"), told) == (1, told)
        out = capsys.readouterr().out
        assert told in out
        assert "Refused: nothing was changed." in out
        assert len(admin.requests) - begin <= 1000
        with pytest.raises(ApiRefusedError):
            client.variable("meeseeks", "compute_nodes")
    admin.always = _total(9)
    assert meeseeks("plan") == 1
    assert meeseeks("apply", "--force") == 0
    assert len(names(client)) == 7
