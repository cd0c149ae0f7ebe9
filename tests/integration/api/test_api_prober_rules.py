"""What a prober may not ask for, told over HTTP before it is stored."""

from typing import Any

from fastapi.testclient import TestClient

from api.context import Context
from database import models

CONFIG = "/api/v1/probers/ping/configs/all"
PROBER = "/api/v1/probers/ping"
HOSTS = {f"demo-{number}": {"address": "", "labels": {}} for number in range(40)}
MESH = {
    "target": {"values": "${cluster.hosts}"},
    "port": {"values": "${cluster.variables.ports}"},
}


def errors(answer: Any) -> dict[str, str]:
    assert answer.status_code == 422, answer.text
    return {error["field"]: error["expected"] for error in answer.json()["errors"]}


def give_hosts(context: Context) -> None:
    with context.database.writing() as session:
        session.query(models.Cluster).filter_by(slug="demo").one().hosts = HOSTS


def test_a_time_limit_beyond_the_interval_needs_a_word(api: TestClient, described: Any) -> None:
    described.prober("ping")
    settings: dict[str, Any] = {"interval_seconds": 5, "time_limit_seconds": 6}
    body = {"clusters": ["*"], "settings": settings}
    told = errors(api.put(CONFIG, json=body))
    assert "allow_overlap: true" in told["settings.time_limit_seconds"]
    settings["allow_overlap"] = True
    assert api.put(CONFIG, json=body).status_code == 201
    del settings["allow_overlap"]
    settings["time_limit_seconds"] = 5
    assert api.put(CONFIG, json=body).status_code == 200
    # The defaults are judged with the configs that stand on them.
    described.config("ping", slug="slow", order=1, settings={"time_limit_seconds": 50})
    told = errors(api.patch(PROBER, json={"defaults": {"interval_seconds": 20}}))
    assert "config slow" in told["defaults.time_limit_seconds"]


def test_a_short_interval_alone_is_enough(api: TestClient, described: Any) -> None:
    described.prober("ping", defaults={"interval_seconds": 5})
    body = {"clusters": ["*"], "settings": {"interval_seconds": 0.5}}
    assert api.put(CONFIG, json=body).status_code == 201


def test_a_matrix_that_explodes_on_a_known_host_is_refused_with_its_figures(
    api: TestClient, described: Any, context: Context
) -> None:
    described.cluster("demo", variables={"ports": list(range(30))})
    described.cluster("other", variables={"ports": list(range(30))})
    described.prober("ping")
    give_hosts(context)
    body: dict[str, Any] = {"clusters": ["*"], "settings": {"matrix": MESH}}
    told = errors(api.put(CONFIG, json=body))["settings.matrix"]
    assert "30 port x 39 target = 1170" in told
    assert "of cluster demo" in told
    body["clusters"] = ["other"]
    assert api.put(CONFIG, json=body).status_code == 201
    batch = {**MESH, "port": {**MESH["port"], "deliver": "batch"}}
    body = {"clusters": ["*"], "settings": {"matrix": batch}}
    assert api.put(CONFIG, json=body).status_code == 200
    excess = errors(api.patch(PROBER, json={"defaults": {"matrix": {"third": {"values": list(range(50))}}}}))  # fmt: skip
    assert "50 third" in excess["defaults.matrix"]


def test_a_matrix_that_explodes_on_any_host_is_refused_before_there_are_hosts(
    api: TestClient, described: Any
) -> None:
    described.cluster("demo")
    described.prober("ping")
    matrix = {name: {"values": list(range(40))} for name in ("one", "two")}
    body = {"clusters": ["demo"], "settings": {"matrix": matrix}}
    told = errors(api.put(CONFIG, json=body))["settings.matrix"]
    assert "on any host of cluster demo" in told
    assert "40 one x 40 two = 1600" in told


def test_what_is_not_known_yet_is_no_refusal(api: TestClient, described: Any) -> None:
    described.cluster("demo")
    described.prober("ping")
    described.config("ping", settings={"matrix": MESH})  # no hosts, no such variable
    assert api.get(CONFIG).status_code == 200


def test_labels_that_are_taken_and_too_many_of_them_are_refused(
    api: TestClient, described: Any
) -> None:
    described.prober("ping")
    body = {"clusters": ["*"], "settings": {"matrix": {"host": {"values": [1]}}}}
    assert errors(api.put(CONFIG, json=body)).keys() == {"settings.matrix.host"}
    many = {f"v{number}": {"values": [1]} for number in range(9)}
    body = {"clusters": ["*"], "settings": {"matrix": many}}
    assert errors(api.put(CONFIG, json=body)).keys() == {"settings.matrix"}
    assert errors(api.put(CONFIG, json={"clusters": ["a*" * 9]})).keys() == {"clusters.0"}


def test_a_mode_that_the_command_cannot_be_run_in_is_refused(
    api: TestClient, described: Any
) -> None:
    described.prober("ping", command=["./ping"])
    body = {"clusters": ["*"], "settings": {"mode": "warm"}}
    assert "[python3, FILE" in errors(api.put(CONFIG, json=body))["settings.mode"]
    told = errors(api.patch(PROBER, json={"defaults": {"mode": "warm"}}))
    assert "defaults.mode" in told
    assert api.patch(PROBER, json={"command": ["python3", "ping.py"]}).status_code == 200
    assert api.put(CONFIG, json=body).status_code == 201
    # With a config that counts on it the command may not go back.
    assert "config all" in errors(api.patch(PROBER, json={"command": ["./ping"]}))["command"]
    new = {"slug": "other", "command": ["./other"], "defaults": {"mode": "warm"}}
    assert "defaults.mode" in errors(api.post("/api/v1/probers", json=new))
