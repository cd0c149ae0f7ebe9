"""The configuration from object storage while the API is away: believed only with a signature, never an older one."""

import threading
from collections.abc import Iterator
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext
from uuid import UUID

import pytest

from agent.configuration import Configuration, Surroundings
from agent.errors import DocumentRefusedError, PublicationUnreadableError
from agent.links import Link
from agent.publication import HttpsShelf, Publication, is_publication_address, shelf_at
from agent.store import Store
from common.agent_api_client import AgentApiClient
from common.agent_tokens import agent_token
from common.agent_transport import AgentTransport
from common.document_signature import signatures_for
from tests.integration.agent.stand_ins import (
    CLUSTER_ID,
    StubApi,
    document,
    folder_server,
    prober,
    sha256,
)
from tests.integration.api.test_api_tls import Authority

SCRIPT = b"#!/bin/sh\nexit 0\n"
TOKEN = agent_token(b"k" * 32, UUID(CLUSTER_ID), version=3)
STRANGER = agent_token(b"x" * 32, UUID(CLUSTER_ID), version=3)


def with_script(revision: int) -> bytes:
    return document(prober(1, {"a.sh": SCRIPT}, ["./a.sh"]), revision=revision)


def publish(folder: Path, content: bytes, *, token: str = TOKEN, files: tuple[bytes, ...]) -> None:
    (folder / "files").mkdir(parents=True, exist_ok=True)
    (folder / "configuration.json").write_bytes(content)
    (folder / "configuration.sig").write_bytes(signatures_for(content, {3: token}))
    for file in files:
        (folder / "files" / sha256(file)).write_bytes(file)


@pytest.fixture
def published(tmp_path: Path) -> Path:
    return tmp_path / "published"


@pytest.fixture
def store(agent_folder: Path) -> Store:
    return Store(agent_folder)


def configuration(api: StubApi, store: Store, published: Path) -> Configuration:
    api.token = TOKEN
    client = AgentApiClient(AgentTransport(api.url, TOKEN), "demo")
    publication = Publication(shelf_at(published.as_uri()), TOKEN)
    surroundings = Surroundings("demo", "h1", clock_ns=lambda: 5)
    return Configuration(client, store, surroundings, publication=publication)


def test_a_first_start_without_the_api_takes_document_and_files_from_object_storage(
    stub_api: StubApi, store: Store, published: Path
) -> None:
    stub_api.status = 503
    publish(published, with_script(7), files=(SCRIPT,))
    news = configuration(stub_api, store, published).poll()
    assert news.plan is not None
    (spec,) = news.plan.specs().values()
    assert (spec.folder / "a.sh").read_bytes() == SCRIPT
    assert (news.source, news.problem, news.confirmed_ns) == ("object storage", "", None)
    assert store.document() == with_script(7)


def test_while_the_api_answers_it_is_looked_at_about_once_an_hour(
    stub_api: StubApi, store: Store, published: Path
) -> None:
    """So that a second source that does not work is known before it is needed."""
    now_ns = 0
    link = Link()
    publication = Publication(
        shelf_at(published.as_uri()), TOKEN, link=link, clock_ns=lambda: now_ns
    )
    stub_api.token = TOKEN
    client = AgentApiClient(AgentTransport(stub_api.url, TOKEN), "demo")
    surroundings = Surroundings("demo", "h1", clock_ns=lambda: 5)
    configured = Configuration(client, store, surroundings, publication=publication)
    seen = []
    for minutes, token in ((0, STRANGER), (2, STRANGER), (30, TOKEN), (90, TOKEN)):
        now_ns = minutes * 60 * 10**9
        publish(published, with_script(7), token=token, files=())
        assert configured.poll().source == "api"
        seen.append(link.notes.problem)
    assert ["no signature of this agent's token" in problem for problem in seen] == [
        False, True, True, False,
    ]  # fmt: skip
    assert seen[0] == seen[-1] == ""


def test_goes_back_to_the_api_when_it_answers(
    stub_api: StubApi, store: Store, published: Path
) -> None:
    configured = configuration(stub_api, store, published)
    publish(published, with_script(7), files=(SCRIPT,))
    stub_api.status = 500
    configured.poll()
    stub_api.status = 200
    stub_api.document = document(revision=8)
    news = configured.poll()
    assert (news.source, news.problem, news.confirmed_ns) == ("api", "", 5)
    assert news.plan is not None
    assert news.plan.document_revision == 8


def test_a_forged_document_is_not_used_and_is_reported(
    stub_api: StubApi, store: Store, published: Path
) -> None:
    configured = configuration(stub_api, store, published)
    stub_api.document = document(revision=2)
    plan = configured.poll().plan
    stub_api.status = 500
    publish(published, with_script(9), token=STRANGER, files=(SCRIPT,))
    news = configured.poll()
    assert news.plan is plan
    assert "no signature of this agent's token" in news.problem
    assert store.document() == document(revision=2)
    assert TOKEN not in news.problem


def test_a_signed_document_changed_by_one_byte_is_not_believed(published: Path) -> None:
    publish(published, with_script(9), files=())
    (published / "configuration.json").write_bytes(with_script(9).replace(b"a.sh", b"b.sh"))
    with pytest.raises(DocumentRefusedError):
        Publication(shelf_at(published.as_uri()), TOKEN).configuration(None)


def test_an_older_document_in_object_storage_is_just_late(
    stub_api: StubApi, store: Store, published: Path
) -> None:
    configured = configuration(stub_api, store, published)
    stub_api.document = document(revision=9)
    plan = configured.poll().plan
    stub_api.status = 502
    publish(published, with_script(8), files=(SCRIPT,))
    news = configured.poll()
    assert news.plan is plan
    assert "older" not in news.problem


def test_an_api_that_says_no_is_not_away(stub_api: StubApi, store: Store, published: Path) -> None:
    configured = configuration(stub_api, store, published)
    publish(published, with_script(7), files=(SCRIPT,))
    stub_api.status = 401
    assert configured.poll().plan is None


def test_a_file_that_is_not_what_its_hash_says_breaks_its_prober(
    stub_api: StubApi, store: Store, published: Path
) -> None:
    stub_api.status = 503
    publish(published, with_script(7), files=())
    (published / "files" / sha256(SCRIPT)).write_bytes(b"rm -rf everything")
    configured = configuration(stub_api, store, published)
    plan = configured.poll().plan
    assert plan is not None
    assert "SHA-256" in plan.probers[0].problem
    publish(published, with_script(7), files=(SCRIPT,))
    plan = configured.poll().plan
    assert plan is not None
    assert plan.probers[0].problem == ""


def test_only_https_and_folders_of_this_machine_are_addresses() -> None:
    good = ["https://s3/bucket/abc", "file:///var/published"]
    bad = ["http://s3/bucket", "file://host/var", "file:relative", "s3://bucket", ""]
    assert [is_publication_address(url) for url in good] == [True, True]
    assert [is_publication_address(url) for url in bad] == [False] * 5


@pytest.fixture
def https(tmp_path: Path, published: Path) -> Iterator[HttpsShelf]:
    authority = Authority("storage")
    certificate, key = authority.issue(tmp_path)
    server = folder_server(published, "/secret-folder/")
    context = SSLContext(PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    url = f"https://127.0.0.1:{server.server_address[1]}/secret-folder"
    shelf = HttpsShelf(url, authorities=authority.written(tmp_path / "authority.pem"))
    yield shelf
    shelf.close()
    server.shutdown()
    thread.join()
    server.server_close()


def test_reads_over_https_and_asks_for_the_signature_alone_if_nothing_is_new(
    https: HttpsShelf, published: Path
) -> None:
    publish(published, with_script(7), files=(SCRIPT,))
    publication = Publication(https, TOKEN)
    assert publication.configuration(None) == with_script(7)
    assert publication.file(sha256(SCRIPT)) == SCRIPT
    (published / "configuration.json").unlink()
    assert publication.configuration(with_script(7)) is None
    with pytest.raises(PublicationUnreadableError) as unreadable:
        publication.configuration(with_script(6))
    assert str(unreadable.value) == "127.0.0.1 cannot be read: HTTP 404"


def test_an_object_that_is_too_large_is_given_up(https: HttpsShelf, published: Path) -> None:
    publish(published, with_script(7), files=())
    with pytest.raises(PublicationUnreadableError, match="larger than 10 bytes"):
        https.read("configuration.json", max_bytes=10)
