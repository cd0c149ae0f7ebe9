"""The API speaks TLS with a certificate of its own: who trusts its authority is served, nobody else."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from common.agent_transport import AgentTransport
from common.api_client import ApiClient
from common.api_transport import ApiTransport
from common.atomic_files import read_key
from common.errors import ApiUnreachableError
from tests.integration.api.test_api_main import Started
from tools.exit_codes import ExitCode
from tools.synchronize.main import run

_LIFE = timedelta(hours=1)


class Authority:
    """Who makes certificates for 127.0.0.1."""

    def __init__(self, name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        basics = x509.BasicConstraints(ca=True, path_length=0)
        self._certificate = (
            self._builder(self._name, self._key.public_key())
            .add_extension(basics, critical=True)
            .sign(self._key, hashes.SHA256())
        )

    def written(self, path: Path) -> Path:
        """The file for those who trust it."""
        path.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))
        return path

    def issue(self, folder: Path) -> tuple[Path, Path]:
        """The files of a certificate and of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "api")])
        address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
        certificate = (
            self._builder(name, key.public_key())
            .add_extension(address, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        paths = folder / "api.pem", folder / "api.key"
        paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        paths[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return paths

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        own = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _LIFE)
            .not_valid_after(now + _LIFE)
            .add_extension(own, critical=False)
        )


@pytest.fixture
def authority() -> Authority:
    return Authority("ours")


@pytest.fixture
def api(tmp_path: Path, sqlite_url: str, authority: Authority) -> Iterator[Started]:
    """The API as a process, with a certificate of the authority."""
    certificate, key = authority.issue(tmp_path)
    started = Started(
        tmp_path,
        [],
        {
            "MR_PROBER_DATABASE_URL": sqlite_url,
            "MR_PROBER_DATA_DIR": str(tmp_path / "data"),
            "MR_PROBER_API_PORT": "0",
            "MR_PROBER_API_TLS_CERTIFICATE": str(certificate),
            "MR_PROBER_API_TLS_KEY": str(key),
        },
    )
    yield started
    started.process.kill()
    started.process.wait()


def test_only_who_trusts_the_authority_is_served_and_nobody_without_tls(
    api: Started, authority: Authority, tmp_path: Path
) -> None:
    address = api.said(r"Mr. Prober: (https://127\.0\.0\.1:\d+)/\nSign in: https://")
    key = read_key(tmp_path / "data" / "admin.key")

    ours = authority.written(tmp_path / "ours.pem")
    assert ApiClient(ApiTransport(address, key, authorities=ours)).clusters() == []

    agent = AgentTransport(address, key, authorities=ours)
    assert agent.call("GET", "/api/v1/clusters").status_code == 200
    others = Authority("ours").written(tmp_path / "other.pem")
    for made in (ApiTransport, AgentTransport):
        # One of the same name that made another key is not the same.
        for authorities in (others, None):
            with pytest.raises(ApiUnreachableError, match="certificate verify failed"):
                made(address, key, authorities=authorities).call("GET", "/api/v1/clusters")
        nothing = made(address, key, authorities=tmp_path / "none.pem")
        with pytest.raises(ApiUnreachableError, match=r"none\.pem"):
            nothing.call("GET", "/api/v1/clusters")
        plain = address.replace("https", "http")
        with pytest.raises(ApiUnreachableError):
            made(plain, key).call("GET", "/api/v1/clusters")


def test_synchronize_speaks_tls(
    api: Started, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = api.said(r"Mr. Prober: (https://127\.0\.0\.1:\d+)/\nSign in: ")
    (tmp_path / "configs" / "environments" / "local" / "clusters").mkdir(parents=True)
    for name, value in {
        "API_URL": address,
        "API_KEY_FILE": tmp_path / "data" / "admin.key",
        "CONFIGS": tmp_path / "configs",
    }.items():
        monkeypatch.setenv(f"MR_PROBER_{name}", str(value))
    assert run(["plan"]) == ExitCode.ERROR
    ours = authority.written(tmp_path / "ours.pem")
    monkeypatch.setenv("MR_PROBER_API_AUTHORITIES", str(ours))
    assert run(["plan"]) == 0
