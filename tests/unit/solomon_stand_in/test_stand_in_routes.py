"""The routes over a real file: who may, what is refused with which code, and what comes back."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from solomon_stand_in.app import application
from solomon_stand_in.requests_in import MAX_BODY_BYTES
from solomon_stand_in.store import Store

TOKEN = {"Authorization": "OAuth right"}
SHARD = {"project": "mr_prober", "cluster": "local", "service": "agent"}
PUSH = "/api/v2/push"
SENSORS = "/api/v2/projects/mr_prober/sensors"
GOOD = (Path(__file__).parent / "testdata" / "good_classic.json").read_text()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "series.sqlite")
    yield store
    store.close()


@pytest.fixture
def client(store: Store) -> Iterator[TestClient]:
    with TestClient(application(store, token="right", page_token=None)) as client:
        yield client


def push(client: TestClient, body: str = GOOD, **changes: object) -> tuple[int, str]:
    arguments = {
        "params": SHARD,
        "headers": {**TOKEN, "Content-Type": "application/json"},
        "content": body,
    } | changes
    answer = client.post(PUSH, **arguments)  # type: ignore[arg-type] # of many types on purpose
    return answer.status_code, answer.text


def test_a_good_push_says_how_many_metrics_it_took(client: TestClient) -> None:
    assert push(client) == (200, '{"sensorsProcessed":2}')


def test_without_a_token_401_with_a_wrong_one_403(client: TestClient) -> None:
    json_type = {"Content-Type": "application/json"}
    for header in (None, "Bearer right", "OAuth", "OAuth "):
        headers = json_type | ({"Authorization": header} if header else {})
        assert push(client, headers=headers)[0] == 401
    status, text = push(client, headers=json_type | {"Authorization": "OAuth wrong"})
    assert (status, "Permission denied" in text) == (403, True)
    assert client.get(f"{SENSORS}/names").status_code == 401


def test_any_token_will_do_if_none_is_set(store: Store) -> None:
    with TestClient(application(store, token=None, page_token=None)) as client:
        assert push(client)[0] == 200
        assert push(client, headers={"Content-Type": "application/json"})[0] == 401


@pytest.mark.parametrize("name", ["project", "cluster", "service"])
def test_each_part_of_the_shard_is_needed(client: TestClient, name: str) -> None:
    for value in (None, ""):
        changed = {key: part for key, part in (SHARD | {name: value}).items() if part is not None}
        status, text = push(client, params=changed)
        assert status == 400
        assert f"parameter {name} is missing" in text


def test_wrong_parameters_content_types_and_encodings_are_refused(client: TestClient) -> None:
    assert push(client, params=SHARD | {"step": "15"})[0] == 400
    assert push(client, params=SHARD | {"service": "a*"})[0] == 400
    assert push(client, params=[*SHARD.items(), ("service", "b")])[0] == 400
    spack = {"Content-Type": "application/x-solomon-spack"}
    assert "not supported" in push(client, headers=TOKEN | spack)[1]
    encoded = {"Content-Type": "application/json", "Content-Encoding": "zstd"}
    assert push(client, headers=TOKEN | encoded)[0] == 400


def test_a_bad_body_stores_nothing(client: TestClient, store: Store) -> None:
    bad = '{"sensors": [{"kind": "GAUGE", "name": "up", "value": 1}, {"kind": "GAUGE"}]}'
    status, text = push(client, bad)
    assert status == 400
    assert "cannot parse JSON, error at: sensors[1]" in text
    assert store.shards() == {}


def test_half_a_character_in_the_body_does_not_break_the_answer(client: TestClient) -> None:
    assert push(client, '{"\\ud800": 1}')[0] == 400


def test_a_body_that_is_too_big_is_refused(client: TestClient) -> None:
    assert push(client, " " * (MAX_BODY_BYTES + 1))[0] == 413


def test_reads_back_what_was_pushed(client: TestClient) -> None:
    push(client)
    names = client.get(f"{SENSORS}/names", headers=TOKEN)
    assert names.json() == {"names": ["rtt_ms", "runs"]}

    series = client.get(
        SENSORS, params={"selectors": '{name="runs"}', "pageSize": "1"}, headers=TOKEN
    )
    labels = SHARD | {"host": "node-17", "name": "runs", "prober": "dns"}
    assert series.json() == {
        "result": [{"labels": labels, "type": "RATE"}],
        "page": {"pagesCount": 1, "totalCount": 1},
    }

    found = client.post(f"{SENSORS}/labels", json={"selectors": "{}"}, headers=TOKEN).json()
    assert found["totalCount"] == 2
    assert {"name": "host", "values": ["node-17"], "absent": False} in found["labels"]


def test_data_come_with_milliseconds_by_post_and_get(client: TestClient) -> None:
    push(client)
    question = {
        "program": '"runs"{cluster="local"}',
        "from": "2025-11-22T00:00:00Z",
        "to": "2025-11-23T00:00:00Z",
    }
    posted = client.post(
        f"{SENSORS}/data", json={**question, "downsampling": {"disabled": True}}, headers=TOKEN
    )
    assert posted.json() == {
        "vector": [
            {
                "timeseries": {
                    "kind": "RATE",
                    "type": "RATE",
                    "labels": SHARD | {"host": "node-17", "name": "runs", "prober": "dns"},
                    "timestamps": [1_763_827_200_000],
                    "values": [4711],
                }
            }
        ]
    }
    got = client.get(f"{SENSORS}/data", params=question, headers=TOKEN)
    assert got.json() == posted.json()
    later = {**question, "from": 1763827200001, "to": 1763827300000}
    assert client.post(f"{SENSORS}/data", json=later, headers=TOKEN).json() == {"vector": []}


def test_what_is_not_finite_comes_back_as_text(client: TestClient) -> None:
    push(client, '{"sensors": [{"kind": "GAUGE", "name": "up", "value": "NaN"}]}')
    answer = client.post(f"{SENSORS}/data", json={"program": "up{}"}, headers=TOKEN)
    assert answer.json()["vector"][0]["timeseries"]["values"] == ["nan"]


def test_another_project_sees_nothing(client: TestClient) -> None:
    push(client)
    answer = client.get("/api/v2/projects/other/sensors/names", headers=TOKEN)
    assert answer.json() == {"names": []}


@pytest.mark.parametrize(
    ("path", "question"),
    [
        ("/data", {}),
        ("/data", {"program": "count({})"}),
        ("/data", {"program": "{}", "downsampling": {"aggregation": "MAX"}}),
        ("/data", {"program": "{}", "from": "yesterday", "to": "today"}),
        ("/data", {"program": "{}", "from": 1}),
        ("/data", {"program": "{}", "from": 2, "to": 1}),
        ("/data", {"program": 1}),
        ("/names", {"selectors": "{name=~'a'}"}),
        ("", {"pageSize": 0}),
        ("", {"pageSize": "many"}),
        ("", {"page": -1}),
        ("/names", {"limit": 1}),
    ],
)
def test_questions_that_it_does_not_understand_are_400(
    client: TestClient, path: str, question: dict[str, object]
) -> None:
    answer = client.post(f"{SENSORS}{path}", json=question, headers=TOKEN)
    assert answer.status_code == 400
    assert answer.json()["code"] == 400
    assert answer.json()["message"]


def test_the_page_says_what_it_is_and_shows_series(client: TestClient) -> None:
    push(client)
    page = client.get("/")
    assert "A stand-in for Solomon, for development: not Solomon." in page.text
    assert "<code>runs</code>" in page.text
    assert "4711" in page.text
    assert "http" not in page.text.replace("http-equiv", "")


def test_the_page_filters_and_escapes(client: TestClient) -> None:
    push(client, '{"sensors": [{"kind": "GAUGE", "name": "<b>", "value": 1, "ts": 1763827200}]}')
    assert "<code>&lt;b&gt;</code>" in client.get("/").text
    assert "<code>" not in client.get("/", params={"selector": "{name=other}"}).text
    wrong = client.get("/", params={"selector": '{name=~"<script>"}'})
    assert "operator =~ is not supported here" in wrong.text
    assert "<script>" not in wrong.text


def test_the_page_asks_for_the_token_if_told_so(store: Store) -> None:
    with TestClient(application(store, token="right", page_token="right")) as client:
        assert client.get("/").status_code == 401
        assert "Basic" in client.get("/").headers["WWW-Authenticate"]
        assert client.get("/", headers={"Authorization": "Basic x"}).status_code == 401
        assert client.get("/", auth=("anybody", "wrong")).status_code == 403
        assert client.get("/", auth=("anybody", "right")).status_code == 200
        assert client.get("/", headers=TOKEN).status_code == 200
