"""Listing nodes from a real gRPC server: pages, slow ones, errors in the middle, lies, TLS, tokens."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from threading import Event, Thread

import pytest

from common.solomon.tokens import FixedToken, MetadataToken, TokenSource
from tests.integration.api.test_api_tls import Authority
from tests.integration.common.test_metadata_tokens import MetadataService
from tests.integration.common.test_metadata_tokens import service as metadata_service  # noqa: F401 - a fixture
from tests.integration.tools.meeseeks.compute_admin import (
    ComputeAdmin,
    aborting,
    answering,
    hanging,
)
from tools.meeseeks.errors import ComputeAdminError, EndpointError, StoppedError
from tools.meeseeks.node_service import Endpoint, GrpcNodeService, Specs
from tools.meeseeks.nodes import NodeState
from tools.meeseeks.pages import Clocks, NodeReader, ReadLimits

Reader = Callable[..., NodeReader]


@pytest.fixture
def reader(specs: Specs, admin: ComputeAdmin) -> Iterator[Reader]:
    """A reader of a server; of `admin` if nothing else is said."""
    services = []

    def made(
        endpoint: Endpoint | None = None,
        tokens: TokenSource | None = None,
        stop: Event | None = None,
        **limits: object,
    ) -> NodeReader:
        endpoint = endpoint or Endpoint(admin.address, plaintext=True)
        stop = stop or Event()
        service = GrpcNodeService(specs, endpoint, stop)
        services.append(service)
        return NodeReader(
            service,
            tokens or FixedToken("t1"),
            endpoint=endpoint.address,
            limits=ReadLimits(**limits),  # type: ignore[arg-type] # as a test names them
            clocks=Clocks(sleep=stop.wait),
        )

    yield made
    for service in services:
        service.close()


def test_reads_every_field_of_every_page(reader: Reader, admin: ComputeAdmin) -> None:
    admin.fill(7)
    admin.nodes[0] |= {"fqdn": "a.b", "status": 3, "labels": {"rack": "r1"}}
    admin.nodes[1] |= {"status": 77}  # of newer specs
    listing = reader().listing(filter_text='zone_id IN ("zone-a")')
    assert (listing.total, listing.pages, listing.broken_paging) == (7, 3, "")
    assert [node.id for node in listing.nodes] == [f"id{number:04}" for number in range(7)]
    first, second = listing.nodes[:2]
    assert (first.name, first.fqdn, first.zone, first.address) == ("node-0000", "a.b", "zone-a", "10.0.0.0")  # fmt: skip
    assert (first.state, first.labels, second.state) == (
        NodeState.MAINTENANCE,
        {"rack": "r1"},
        NodeState.UNKNOWN,
    )
    assert [request.page_token for request in admin.requests] == ["", "3", "6"]
    assert {request.filter for request in admin.requests} == {'zone_id IN ("zone-a")'}
    assert {request.page_size for request in admin.requests} == {500}
    assert set(admin.authorizations) == {"Bearer t1"}


def test_a_service_that_does_not_count_and_one_with_nothing(
    reader: Reader, admin: ComputeAdmin
) -> None:
    admin.counts = False
    assert reader().listing().total is None
    admin.fill(1)
    assert (reader().listing().total, len(reader().listing().nodes)) == (None, 1)


def test_pages_larger_than_grpcs_own_limit(reader: Reader, admin: ComputeAdmin) -> None:
    admin.fill(500)
    admin.page_size = 500
    for node in admin.nodes:
        node["labels"] = {"long": "x" * 16_000}
    assert len(reader().listing().nodes) == 500


def test_an_error_in_the_middle_that_passes_costs_nothing(
    reader: Reader, admin: ComputeAdmin
) -> None:
    admin.fill(7)
    admin.mischief = [None, aborting("UNAVAILABLE"), None, aborting("UNAVAILABLE")]
    made = reader()
    assert [node.id for node in made.listing().nodes] == [f"id{number:04}" for number in range(7)]
    assert made.repeated == 2


def test_a_page_that_hangs_is_asked_for_again(reader: Reader, admin: ComputeAdmin) -> None:
    admin.fill(7)
    admin.mischief = [None, hanging]
    assert len(reader(call=timedelta(seconds=1)).listing().nodes) == 7
    # Not how often: a busy machine may miss the limit of other pages, too.
    assert [request.page_token for request in admin.requests].count("3") >= 2


@pytest.mark.parametrize("code", ["PERMISSION_DENIED", "INVALID_ARGUMENT", "INTERNAL"])
def test_an_error_in_the_middle_that_stays_gives_no_half_list(
    reader: Reader, admin: ComputeAdmin, code: str
) -> None:
    admin.fill(7)
    admin.mischief = [None, aborting(code, "no, said the service")]
    with pytest.raises(ComputeAdminError, match=rf"{code}: no, said the service") as raised:
        reader().listing()
    assert raised.value.code == code
    assert len(admin.requests) == 2


def test_a_service_that_always_fails_is_given_up(reader: Reader, admin: ComputeAdmin) -> None:
    admin.always = aborting("UNAVAILABLE")
    with pytest.raises(ComputeAdminError, match="UNAVAILABLE"):
        reader(repetitions=3).listing()
    assert len(admin.requests) == 4


def test_a_page_token_that_comes_again_ends_the_list_as_broken(
    reader: Reader, admin: ComputeAdmin
) -> None:
    admin.fill(7)
    admin.always = answering(next_page_token="3")
    listing = reader().listing()
    assert "leads back" in listing.broken_paging
    assert len(admin.requests) == 2


def test_paging_without_an_end_is_bounded(reader: Reader, admin: ComputeAdmin) -> None:
    def endless(request: object, _context: object, answer: object) -> object:
        answer.next_page_token = str(len(admin.requests) + 100)  # type: ignore[attr-defined]
        return answer

    admin.always = endless
    assert "not ended after 20 pages" in reader(pages=20).listing().broken_paging
    assert len(admin.requests) == 20


def test_nobody_listens_there(reader: Reader, admin: ComputeAdmin) -> None:
    admin.stop()
    with pytest.raises(ComputeAdminError, match=rf"{admin.address} gave no whole list: UNAVAIL"):
        reader(repetitions=1).listing()


def test_told_to_end_it_does_not_wait_for_a_page(reader: Reader, admin: ComputeAdmin) -> None:
    begun, stop = Event(), Event()

    def hang(request: object, context: object, answer: object) -> object:
        begun.set()
        return hanging(request, context, answer)

    admin.always = hang

    def end() -> None:
        begun.wait(60)
        stop.set()

    thread = Thread(target=end)
    thread.start()
    # Far beyond the limit of a test: only `stop` ends it in time.
    made = reader(stop=stop, call=timedelta(hours=1), whole=timedelta(hours=2))
    with pytest.raises(StoppedError):
        made.listing()
    thread.join()


@pytest.fixture
def secure_admin(specs: Specs, tmp_path: Path) -> Iterator[ComputeAdmin]:
    """One with a certificate of `ours.pem` in the same folder."""
    authority = Authority("ours")
    authority.written(tmp_path / "ours.pem")
    made = ComputeAdmin(specs, tls=authority.issue(tmp_path))
    made.fill(2)
    yield made
    made.stop()


def test_tls_with_an_authority_that_is_named(
    reader: Reader, secure_admin: ComputeAdmin, tmp_path: Path
) -> None:
    ours = Endpoint(secure_admin.address, authorities=tmp_path / "ours.pem")
    assert len(reader(ours).listing().nodes) == 2
    assert secure_admin.authorizations == ["Bearer t1"]

    other = Authority("ours").written(tmp_path / "other.pem")
    for authorities in (other, None):
        with pytest.raises(ComputeAdminError, match="UNAVAILABLE"):
            reader(Endpoint(secure_admin.address, authorities), repetitions=0).listing()
    with pytest.raises(ComputeAdminError, match="UNAVAILABLE"):
        reader(Endpoint(secure_admin.address, plaintext=True), repetitions=0).listing()
    # Who is not believed learns no token.
    assert len(secure_admin.authorizations) == 1


def test_a_file_of_authorities_that_is_not_there_is_named(reader: Reader, tmp_path: Path) -> None:
    with pytest.raises(EndpointError, match=r"none\.pem cannot be read: No such file"):
        reader(Endpoint("127.0.0.1:1", authorities=tmp_path / "none.pem"))


@pytest.mark.parametrize("address", ["admin.example.net:443", "10.0.0.1:443", "127.0.0.1.example.net:1"])  # fmt: skip
def test_without_tls_a_token_leaves_the_machine_never(reader: Reader, address: str) -> None:
    with pytest.raises(EndpointError, match="is not on loopback"):
        reader(Endpoint(address, plaintext=True))


def test_a_token_that_has_ended_is_replaced_by_the_vms_next_one(
    reader: Reader,
    admin: ComputeAdmin,
    metadata_service: MetadataService,  # noqa: F811 - the fixture
) -> None:
    admin.fill(7)
    # The second page finds that the token has ended.
    admin.mischief = [None, aborting("UNAUTHENTICATED", "the token has ended")]
    listing = reader(tokens=MetadataToken(metadata_service.url)).listing()
    assert len(listing.nodes) == 7
    assert admin.authorizations == ["Bearer t1.1", "Bearer t1.1", "Bearer t1.2", "Bearer t1.2"]


def test_a_token_that_is_refused_again_and_again_is_given_up(
    reader: Reader,
    admin: ComputeAdmin,
    metadata_service: MetadataService,  # noqa: F811 - the fixture
) -> None:
    admin.always = aborting("UNAUTHENTICATED", "no")
    with pytest.raises(ComputeAdminError, match="UNAUTHENTICATED: no"):
        reader(tokens=MetadataToken(metadata_service.url)).listing()
    assert len(admin.requests) == 2
