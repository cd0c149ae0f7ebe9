"""The agent's configuration against a stub API: 304, files, an API that is away, bad documents, a damaged disk."""

import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent.configuration import Configuration, Surroundings
from agent.in_force import PlanTaken
from agent.mailboxes import Mailbox
from agent.store import Store
from common.agent_api_client import AgentApiClient
from common.agent_transport import AgentTransport
from common.contracts.values import canonical_json
from tests.integration.agent.stand_ins import StubApi, document, prober, sha256

SCRIPT = b"#!/bin/sh\nexit 0\n"
LIBRARY = b"x = 1\n"
CLOSED = "http://127.0.0.1:1"


@pytest.fixture
def store(agent_folder: Path) -> Store:
    return Store(agent_folder)


def configuration(api: StubApi, store: Store, *, url: str = "") -> Configuration:
    client = AgentApiClient(AgentTransport(url or api.url, api.token), "demo")
    return Configuration(client, store, Surroundings("demo", "h1", clock_ns=lambda: 5))


def with_files(revision: int = 1) -> bytes:
    files = {"check.sh": SCRIPT, "lib/x.py": LIBRARY}
    return document(prober(1, files, ["./check.sh"]), revision=revision)


def folder_of(configured: Configuration) -> Path:
    plan = configured.poll().plan
    assert plan is not None
    (spec,) = plan.specs().values()
    return spec.folder


def test_fetches_document_and_files_and_unpacks_them_read_only(
    stub_api: StubApi, store: Store
) -> None:
    stub_api.document = with_files()
    stub_api.serve_files(SCRIPT, LIBRARY)
    folder = folder_of(configuration(stub_api, store))
    assert (folder / "check.sh").read_bytes() == SCRIPT
    assert (folder / "lib/x.py").read_bytes() == LIBRARY
    assert (folder / "check.sh").stat().st_mode & stat.S_IXUSR
    writable = [path for path in (folder, *folder.rglob("*")) if path.stat().st_mode & 0o222]
    assert writable == []


def test_knows_until_when_the_machines_may_change(stub_api: StubApi, store: Store) -> None:
    stub_api.document = document(applying_until="2026-01-01T12:00:00Z")
    plan = configuration(stub_api, store).poll().plan
    assert plan
    assert plan.applying_until == datetime(2026, 1, 1, 12, tzinfo=UTC).timestamp()


def test_asks_for_nothing_twice(stub_api: StubApi, store: Store) -> None:
    stub_api.document = with_files()
    stub_api.serve_files(SCRIPT, LIBRARY)
    configured = configuration(stub_api, store)
    plans = [configured.poll().plan for _ in range(3)]
    assert plans[0] is plans[1] is plans[2]
    assert stub_api.statuses("configuration") == [200, 304, 304]
    assert len(stub_api.statuses("files")) == 2
    stub_api.document = with_files(revision=2)
    configured.poll()
    assert len(stub_api.statuses("files")) == 2


def test_starts_from_disk_when_the_api_is_away(stub_api: StubApi, store: Store) -> None:
    stub_api.document = with_files()
    stub_api.serve_files(SCRIPT, LIBRARY)
    folder = folder_of(configuration(stub_api, store))
    later = configuration(stub_api, store, url=CLOSED)
    news = later.start_from_disk()
    assert news.plan is not None
    assert [spec.folder for spec in news.plan.specs().values()] == [folder]
    assert news.confirmed_ns is None
    assert later.poll().plan is news.plan
    assert later.failures == 1


def test_a_first_start_without_api_has_no_plan_and_no_problem(
    stub_api: StubApi, store: Store
) -> None:
    configured = configuration(stub_api, store, url=CLOSED)
    assert configured.start_from_disk().plan is None
    news = configured.poll()
    assert (news.plan, news.problem) == (None, "")


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (b"{", "Invalid JSON"),
        (b'{"format": 1}', "mistakes"),
        (document(revision=1), "older"),
        (document(revision=9, cluster={"id": "0" * 32, "slug": "demo"}), "had the id"),
    ],
)
def test_a_bad_document_keeps_the_last_good_one_and_is_reported(
    stub_api: StubApi, store: Store, bad: bytes, words: str
) -> None:
    good = with_files(revision=5)
    stub_api.document = good
    stub_api.serve_files(SCRIPT, LIBRARY)
    configured = configuration(stub_api, store)
    plan = configured.poll().plan
    stub_api.document = bad
    news = configured.poll()
    assert news.plan is plan
    assert words in news.problem
    assert store.document() == good
    stub_api.document = with_files(revision=6)
    assert configured.poll().problem == ""


@pytest.mark.parametrize("status", [401, 404, 500])
def test_goes_on_when_the_api_refuses_and_says_so_once(
    stub_api: StubApi, store: Store, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    configured = configuration(stub_api, store)
    plan = configured.poll().plan
    stub_api.status = status
    news = [configured.poll() for _ in range(3)]
    assert all(one.plan is plan for one in news)
    said = [r for r in caplog.records if r.levelname == "WARNING"]
    assert len(said) == 1
    assert str(status) in news[-1].problem
    assert stub_api.token not in caplog.text


def test_a_file_that_cannot_be_had_breaks_its_prober_alone_and_is_asked_for_again(
    stub_api: StubApi, store: Store
) -> None:
    stub_api.serve_files(SCRIPT)
    stub_api.document = document(
        prober(1, {"a.sh": SCRIPT}, ["./a.sh"]), prober(2, {"b.py": LIBRARY}, ["./b.py"])
    )
    configured = configuration(stub_api, store)
    plan = configured.poll().plan
    assert plan is not None
    assert [bool(prober.problem) for prober in plan.probers] == [False, True]
    assert "cannot be had" in plan.probers[1].problem
    # Another plan would be put into force, and into the log, at each poll.
    assert configured.poll().plan is plan
    stub_api.serve_files(LIBRARY)
    plan = configured.poll().plan
    assert plan is not None
    assert [prober.problem for prober in plan.probers] == ["", ""]


def test_content_that_is_not_what_its_hash_says_is_never_used(
    stub_api: StubApi, store: Store, agent_folder: Path
) -> None:
    stub_api.document = document(prober(1, {"a.sh": SCRIPT}, ["./a.sh"]))
    stub_api.files[sha256(SCRIPT)] = b"#!/bin/sh\nrm -rf everything\n"
    plan = configuration(stub_api, store).poll().plan
    assert plan is not None
    assert "SHA-256" in plan.probers[0].problem
    assert not list((agent_folder / "unpacked").iterdir())


def test_a_damaged_disk_is_repaired_from_the_api(
    stub_api: StubApi, store: Store, agent_folder: Path
) -> None:
    stub_api.document = with_files()
    stub_api.serve_files(SCRIPT, LIBRARY)
    folder = folder_of(configuration(stub_api, store))
    for path in (folder / "check.sh", agent_folder / "files" / sha256(SCRIPT)):
        path.chmod(0o644)
        path.write_bytes(b"flipped")
    (saved,) = (agent_folder / "documents").iterdir()
    again = configuration(stub_api, Store(agent_folder))
    assert again.start_from_disk().plan is not None
    assert folder_of(again) == folder
    assert (folder / "check.sh").read_bytes() == SCRIPT
    saved.write_bytes(b"{}")
    assert Store(agent_folder).document() is None


def test_a_full_disk_keeps_the_last_good_document(stub_api: StubApi, agent_folder: Path) -> None:
    class FullStore(Store):
        def keep_document(self, content: bytes, *, was_in_force: bool = True) -> None:
            del content, was_in_force
            raise OSError(28, os.strerror(28))

    configured = configuration(stub_api, FullStore(agent_folder))
    news = configured.poll()
    assert news.plan is None
    assert "No space left" in news.problem


def test_forgets_older_documents(stub_api: StubApi, store: Store, agent_folder: Path) -> None:
    configured = configuration(stub_api, store)
    for revision in (1, 2, 3):
        stub_api.document = document(revision=revision)
        configured.poll()
    # The newest one, and the one to fall back on.
    assert store.document() == document(revision=3)
    assert store.fallback() == document(revision=2)
    assert len(list((agent_folder / "documents").iterdir())) == 2


def test_falls_back_on_nothing_that_never_was_in_force(
    stub_api: StubApi, store: Store, agent_folder: Path
) -> None:
    taken: Mailbox[PlanTaken] = Mailbox()
    client = AgentApiClient(AgentTransport(stub_api.url, stub_api.token), "demo")
    configured = Configuration(
        client, store, Surroundings("demo", "h1", clock_ns=lambda: 5), taken=taken
    )
    for revision, is_in_force in ((1, True), (2, False), (3, False)):
        stub_api.document = document(revision=revision)
        plan = configured.poll().plan
        assert plan
        taken.put(PlanTaken(plan, is_in_force))
    assert store.document() == document(revision=3)
    assert store.fallback() == document(revision=1)
    (agent_folder / "documents" / sha256(document(revision=1))).write_bytes(b"{}")
    assert store.fallback() is None


def test_forgets_files_that_neither_this_document_nor_the_one_before_names(
    stub_api: StubApi, store: Store, agent_folder: Path
) -> None:
    contents = [f"#!/bin/sh\nexit {number}\n".encode() for number in range(4)]
    stub_api.serve_files(*contents)
    (agent_folder / "files" / ".half.written").write_bytes(b"by a start that was killed")
    configured = configuration(stub_api, store)
    folders = []
    for revision, content in enumerate(contents, start=1):
        kept = prober(1, {"kept.sh": contents[0]}, ["./kept.sh"])
        changed = prober(2, {"a.sh": content}, ["./a.sh"])
        stub_api.document = document(kept, changed, revision=revision)
        plan = configured.poll().plan
        assert plan is not None
        folders.append([spec.folder for spec in plan.specs().values()])
    assert {path.name for path in (agent_folder / "files").iterdir()} == {
        sha256(content) for content in (contents[0], *contents[2:])
    }
    assert set((agent_folder / "unpacked").iterdir()) == {*folders[2], *folders[3]}
    # What was forgotten comes back if it is wanted again.
    stub_api.document = document(prober(2, {"a.sh": contents[1]}, ["./a.sh"]), revision=9)
    assert (folder_of(configured) / "a.sh").read_bytes() == contents[1]


def test_removes_what_runs_of_an_earlier_start_left_behind(store: Store) -> None:
    (store.temporary / "1-abc" / "deep").mkdir(parents=True)
    store.wipe_temporary()
    assert not list(store.temporary.iterdir())


TARGETS = canonical_json([f"host-{number}" for number in range(3)])


def with_large_value(revision: int = 1, content: bytes = TARGETS) -> bytes:
    axis = {"values": "${cluster.variables.targets}"}
    needs = prober(1, {"a.sh": SCRIPT}, ["./a.sh"], matrix={"target": axis})
    return document(
        needs,
        prober(2, {"a.sh": SCRIPT}, ["./a.sh"]),
        revision=revision,
        variable_files={"targets": {"sha256": sha256(content), "size": len(content)}},
    )


def test_a_large_value_is_fetched_and_kept_as_files_are(stub_api: StubApi, store: Store) -> None:
    stub_api.document = with_large_value()
    stub_api.serve_files(SCRIPT, TARGETS)
    configured = configuration(stub_api, store)
    plan = configured.poll().plan
    assert plan is not None
    assert [len(one.specs) for one in plan.probers] == [3, 1]
    assert configured.poll().plan is plan
    stub_api.document = with_large_value(revision=2)
    configured.poll()
    assert len([path for path, _ in stub_api.asked if sha256(TARGETS) in path]) == 1
    later = configuration(stub_api, store, url=CLOSED).start_from_disk()
    assert later.plan is not None
    assert [len(one.specs) for one in later.plan.probers] == [3, 1]


def test_a_large_value_that_cannot_be_had_breaks_what_needs_it_until_it_comes(
    stub_api: StubApi, store: Store
) -> None:
    stub_api.document = with_large_value()
    stub_api.serve_files(SCRIPT)
    stub_api.files[sha256(TARGETS)] = b'["another"]'
    configured = configuration(stub_api, store)
    for wrong in (b'["another"]', None):
        if wrong is None:
            del stub_api.files[sha256(TARGETS)]
        plan = configured.poll().plan
        assert plan is not None
        assert [bool(one.problem) for one in plan.probers] == [True, False]
        assert "cluster.variables.targets" in plan.probers[0].problem
    stub_api.serve_files(TARGETS)
    plan = configured.poll().plan
    assert plan is not None
    assert [one.problem for one in plan.probers] == ["", ""]


def test_a_large_value_on_a_damaged_disk_is_fetched_again(
    stub_api: StubApi, store: Store, agent_folder: Path
) -> None:
    stub_api.document = with_large_value()
    stub_api.serve_files(SCRIPT, TARGETS)
    configuration(stub_api, store).poll()
    (agent_folder / "files" / sha256(TARGETS)).write_bytes(b"[]")
    again = configuration(stub_api, Store(agent_folder))
    plan = again.start_from_disk().plan
    assert plan is not None
    assert [bool(one.problem) for one in plan.probers] == [True, False]
    plan = again.poll().plan
    assert plan is not None
    assert [len(one.specs) for one in plan.probers] == [3, 1]


def test_large_values_are_forgotten_when_two_documents_do_without(
    stub_api: StubApi, store: Store, agent_folder: Path
) -> None:
    contents = [canonical_json([str(number)]) for number in range(3)]
    stub_api.serve_files(SCRIPT, *contents)
    configured = configuration(stub_api, store)
    for revision, content in enumerate(contents, start=1):
        stub_api.document = with_large_value(revision, content)
        configured.poll()
    kept = {path.name for path in (agent_folder / "files").iterdir()}
    assert kept == {sha256(one) for one in (SCRIPT, *contents[1:])}


def test_a_bug_about_one_prober_breaks_that_one_only(
    stub_api: StubApi, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unpacked(*_: object) -> None:
        raise ZeroDivisionError("of the test")

    other = prober(2, {}, ["true"])
    stub_api.document = document(prober(1, {"check.sh": SCRIPT}, ["./check.sh"]), other)
    stub_api.serve_files(SCRIPT)
    held = configuration(stub_api, store)
    with monkeypatch.context() as patched:
        patched.setattr(
            store, "unpacked", lambda files: unpacked() if files else store.unpack(files)
        )
        plan = held.poll().plan
    assert plan
    first, second = plan.probers
    assert "ZeroDivisionError" in first.problem
    assert second.problem == ""


def test_a_bug_about_a_document_leaves_the_last_good_one_in_use(
    stub_api: StubApi, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def resolved(*_: object) -> None:
        raise ZeroDivisionError("of the test")

    held = configuration(stub_api, store)
    plan = held.poll().plan
    assert plan
    with monkeypatch.context() as patched:
        patched.setattr("agent.configuration.resolved_one_by_one", resolved)
        stub_api.document = document(prober(1, {}, ["true"]), revision=2)
        news = held.poll()
        assert news.plan is plan
        assert "ZeroDivisionError" in news.problem
        # The next start finds the last good one, and one with which it cannot begin costs it nothing else.
        found = configuration(stub_api, store).start_from_disk()
        assert found.plan is None
        assert "ZeroDivisionError" in found.problem
    found = configuration(stub_api, store).start_from_disk()
    assert found.plan
    assert found.plan.document_revision == 1
    assert held.poll().plan is not plan
