"""All settings of all parts: the only place that reads the environment, and only `main.py` files read this.

Defaults suit a first local run without any editing.
Every name is `MR_PROBER_` + the field in upper case, except the two `S3_…` keys.
"""

import os
import socket
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)


def _duration(value: object) -> object:
    """Plain numbers are seconds; everything else is left to pydantic (ISO 8601)."""
    if isinstance(value, str):
        try:
            return timedelta(seconds=float(value))
        except (ValueError, OverflowError):  # `soon`, `nan`; `inf`
            return value
    return value


# Below it, each developer's machine has a folder of its own in object storage.
DEVELOPMENT = "development"

Duration = Annotated[timedelta, Field(ge=timedelta(0)), BeforeValidator(_duration)]
Port = Annotated[int, Field(ge=0, le=65535)]
PositiveNumber = Annotated[int, Field(ge=1, le=36500)]


def _variable_of(name: str) -> str:
    return name if name.isupper() else f"MR_PROBER_{name.upper()}"


class _Settings(BaseModel):
    # By hand, and not with pydantic-settings: it brings asyncio along, 3 MB of each agent's memory.
    model_config = ConfigDict(extra="forbid", validate_default=True)

    def __init__(self, **given: object) -> None:
        """What is given, else the variable of the environment unless it is empty, else the default."""
        names = [str(one.validation_alias or name) for name, one in type(self).model_fields.items()]
        values = {name: os.environ.get(_variable_of(name)) for name in names}
        super().__init__(**({name: value for name, value in values.items() if value} | given))

    environment: Annotated[str, Field(pattern=r"^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$")] = Field(
        "local",
        description="installation of the platform: local, preprod, prod; Solomon's label `cluster`",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="how much is logged"
    )
    log_format: Literal["text", "json"] = Field(
        "text",
        description="how it is logged: `text` for people, `json` for programs, one object a line",
    )

    @field_validator("environment")
    @classmethod
    def _no_folder_of_developers(cls, environment: str) -> str:
        if environment == DEVELOPMENT:
            raise ValueError(f"{DEVELOPMENT} is the folder of `local` in object storage")
        return environment


class DatabaseSettings(_Settings):
    """Where the data is."""

    database_url: SecretStr = Field(
        SecretStr("sqlite:///database.sqlite"),
        description="SQLAlchemy address: `sqlite:///FILE` or `postgresql+psycopg://…`",
    )
    data_dir: Path = Field(Path("data"), description="folder of keys, files, workspaces and logs")
    server_key: SecretStr | None = Field(
        None,
        description="key from which agents' tokens are derived, 32 characters or more; made in `$DATA_DIR/server.key` with SQLite, must be set with PostgreSQL",
    )
    encryption_keys: SecretStr | None = Field(
        None,
        description="keys of sensitive variables, 32 characters or more each, the newest first, separated by commas; made in `$DATA_DIR/encryption.key` with SQLite, must be set with PostgreSQL",
    )


class StoredSettings(DatabaseSettings):
    """Where objects are: in S3 as soon as both keys are set, else in the data folder."""

    s3_access_key_id: SecretStr | None = Field(
        None,
        validation_alias="S3_ACCESS_KEY_ID",
        description="id of the static key for S3; with both keys set, S3 holds files and publications",
    )
    s3_secret_access_key: SecretStr | None = Field(
        None, validation_alias="S3_SECRET_ACCESS_KEY", description="the secret of that key"
    )
    s3_endpoint_url: str = Field(
        "https://storage.yandexcloud.net", description="address of S3; empty: Amazon's"
    )
    s3_region: str = Field("ru-central1", description="region of S3")
    s3_configurations_bucket: str = Field(
        "mr-prober-configurations", description="bucket of published configurations"
    )
    s3_files_bucket: str = Field("mr-prober-files", description="bucket of contents of files")
    s3_states_bucket: str = Field("mr-prober-states", description="bucket of terraform's states")
    s3_logs_bucket: str = Field("mr-prober-logs", description="bucket of logs")
    published_url: str = Field(
        "",
        description="https address under which agents read the bucket of published configurations; without S3 it is a `file:` address",
    )

    @model_validator(mode="after")
    def _both_keys_or_none(self) -> Self:
        if (self.s3_access_key_id is None) != (self.s3_secret_access_key is None):
            raise ValueError("S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY: set both or neither")
        return self


class SolomonSettings(_Settings):
    """Where a part pushes its metrics."""

    solomon_url: str = Field("", description="address of Solomon; empty: metrics are not pushed")
    solomon_token: SecretStr | None = Field(None, description="OAuth token for Solomon")
    solomon_project: str = Field("mr_prober", description="Solomon's label `project`")
    solomon_service: str = Field("mr_prober", description="Solomon's label `service`")


class ApiSettings(StoredSettings):
    """Settings of the API."""

    api_host: str = Field("127.0.0.1", description="address on which the API listens")
    api_port: Port = Field(8080, description="port on which the API listens")
    api_workers: int = Field(1, ge=1, le=64, description="processes that answer on that port")
    api_tls_certificate: Path | None = Field(
        None, description="file of the certificate chain (PEM); with it the API speaks https"
    )
    api_tls_key: Path | None = Field(None, description="file of the certificate's key (PEM)")
    approver_must_differ: bool = Field(
        False, description="whether nobody may approve a plan of what they changed themselves"
    )
    api_url: str = Field(
        "",
        description="address under which people and agents reach the API; default: made of host and port",
    )
    api_allowed_hosts: str = Field(
        "",
        description="more names that callers may send as Host, comma-separated; always: loopback and the host of `MR_PROBER_API_URL`; `*`: any",
    )
    retention_deployments_days: PositiveNumber = Field(
        90, description="days for which finished deployments and their logs are kept"
    )
    retention_deployments_per_cluster: PositiveNumber = Field(
        20, description="newest deployments of each cluster that are kept whatever their age"
    )
    retention_revisions_days: PositiveNumber = Field(
        90, description="days for which revisions are kept that nothing uses any more"
    )
    retention_revisions_per_parent: PositiveNumber = Field(
        10,
        description="newest revisions of each recipe and prober that are kept whatever their age",
    )
    retention_agents_days: PositiveNumber = Field(
        7, description="days for which agents are kept that do not report any more"
    )
    retention_tombstones_days: PositiveNumber = Field(
        30, description="days for which destroyed clusters, recipes and probers are kept"
    )
    retention_audit_days: PositiveNumber = Field(
        365, description="days for which the audit log is kept"
    )
    retention_files_days: PositiveNumber = Field(
        1, description="days for which contents of files are kept that no revision names (yet)"
    )
    retention_evidence_days: PositiveNumber = Field(
        14, description="days for which what agents uploaded about runs is kept"
    )
    evidence_per_cluster: PositiveNumber = Field(
        1000, description="uploads that one cluster may have; then a new one replaces the oldest"
    )
    evidence_per_minute: PositiveNumber = Field(
        60, description="uploads that one cluster may announce in a minute"
    )


class CreatorSettings(SolomonSettings, StoredSettings):
    """Settings of Creator."""

    api_url: str = Field(
        "http://127.0.0.1:8080", description="address of the API that recipes hand to agents"
    )
    fallback_url: str = Field(
        "",
        description="where agents read the configuration when the API is away, if `MR_PROBER_PUBLISHED_URL` does not say; handed to recipes",
    )
    creator_workers: int = Field(
        2, ge=1, le=64, description="clusters with a terraform of one Creator at the same time"
    )
    creator_drain: Literal["detach", "wait"] = Field(
        "detach",
        description="what a Creator that is told to end does about running terraforms: `detach` leaves them to the next one, `wait` waits for them",
    )
    creator_drain_time_limit: Duration = Field(
        timedelta(seconds=7500),
        description="longest such waiting, seconds; a terraform that still runs then is left to go on by itself",
    )
    creator_database_patience: Duration = Field(
        timedelta(seconds=30),
        description="how long a Creator that is told to end cares for a database that does not answer, seconds",
    )
    creator_metrics_port: Port = Field(
        0, description="port on loopback where Prometheus finds `/metrics`; 0: none"
    )
    creator_poll_interval: Duration = Field(
        timedelta(seconds=0.25), description="pause between two looks for changes, seconds"
    )
    creator_maximum_plan_age: Duration = Field(
        timedelta(minutes=10),
        description="an unchanged cluster is planned again after this time, seconds",
    )
    creator_step_time_limit: Duration = Field(
        timedelta(hours=2), description="longest time of one terraform command, seconds"
    )
    creator_retry_delay: Duration = Field(
        timedelta(seconds=15),
        description="pause after the first failed deployment of a cluster, doubled up to an hour, seconds",
    )
    creator_lock_time_limit: Duration = Field(
        timedelta(minutes=1),
        description="how long terraform waits for the lock of a state, seconds",
    )
    creator_provider_mirror: Path | None = Field(
        None,
        description="folder of terraform's providers, only read; with it none is downloaded",
    )
    creator_plan_life: Duration = Field(
        timedelta(days=1),
        description="a plan that waits for approval is good for so long, seconds; then it is made anew",
    )
    s3_states_access_key_id: SecretStr | None = Field(
        None,
        description="id of a key for the bucket of states alone, the only one that terraform sees; unset: `S3_ACCESS_KEY_ID` is used there, too",
    )
    s3_states_secret_access_key: SecretStr | None = Field(
        None, description="the secret of that key"
    )
    terraform: str = Field(
        "terraform", description="terraform executable: a name on PATH or a path"
    )
    terraform_user: str = Field(
        "",
        description="user as whom terraform runs where Creator is root; empty: the same user",
    )

    @model_validator(mode="after")
    def _states_key_beside_the_other(self) -> Self:
        key_id, secret = self.s3_states_access_key_id, self.s3_states_secret_access_key
        if (key_id is None) != (secret is None):
            raise ValueError(
                "MR_PROBER_S3_STATES_ACCESS_KEY_ID and MR_PROBER_S3_STATES_SECRET_ACCESS_KEY: set both or neither"
            )
        if key_id is not None and self.s3_access_key_id is None:
            raise ValueError(
                "MR_PROBER_S3_STATES_ACCESS_KEY_ID: set S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY, too: files are in S3 as well"
            )
        return self


class AgentSettings(SolomonSettings):
    """Settings of the agent."""

    api_url: str = Field("http://127.0.0.1:8080", description="address of the API")
    api_authorities: Path | None = Field(
        None,
        description="file (PEM) of the authorities that may vouch for the API's certificate; default: the well-known ones",
    )
    cluster: str = Field(description="slug of the cluster that this host belongs to")
    host: str = Field(
        default_factory=socket.getfqdn, description="name of this host; default: its FQDN"
    )
    agent_token: SecretStr | None = Field(None, description="token of the cluster's agents")
    agent_token_file: Path | None = Field(None, description="file that holds the token")
    fallback_url: str = Field(
        "",
        description="where the signed configuration is read while the API is away: https, or a folder as `file:`",
    )
    agent_rules: Path | None = Field(
        None,
        description="file (TOML) in which the machine's owner forbids probers, users and commands",
    )
    agent_dir: Path = Field(
        Path("data/agent"), description="folder of the agent: document, files, state"
    )
    agent_user: str = Field(
        "nobody",
        description="whose rights probers have that name no user, if the agent is root; else they have the agent's own",
    )
    agent_allowed_users: str = Field(
        "",
        description="further users that probers may name, with commas; `root` only if it is here",
    )
    agent_slots: int = Field(
        100,
        ge=1,
        le=10_000,
        description="how many runs go on at once; what is due beyond is skipped",
    )
    agent_warm_parents: int = Field(
        16,
        ge=0,
        le=1000,
        description="how many processes may wait for the runs of probers with `mode: warm`, up to 128 MB each; the runs of others are started as any program",
    )
    agent_poll_interval: Duration = Field(
        timedelta(seconds=25),
        description="how long the API holds a question for a new configuration, at most 30 seconds",
    )
    agent_canary_interval: Duration = Field(
        timedelta(minutes=1),
        ge=timedelta(seconds=1),
        description="how often probers of the agent's own, whose verdicts are known, show that it notices what it must",
    )
    solomon_dialect: Literal["classic", "cloud"] = Field(
        "classic", description="how Solomon is spoken to: `classic`, or `cloud` (Yandex Monitoring)"
    )
    solomon_token: SecretStr | None = Field(
        None,
        description="token for Solomon: OAuth, or IAM with the cloud dialect; unset there: the VM's own",
    )
    solomon_project: str = Field(
        "mr_prober",
        description="Solomon's label `project`; with the cloud dialect the id of the folder",
    )
    solomon_service: str = Field(
        "",
        description="Solomon's label `service`; empty: `mr_prober`, with the cloud dialect `custom`",
    )
    metadata_url: str = Field(
        "http://169.254.169.254", description="address of the VM's metadata service"
    )
    spool_max_bytes: Annotated[int, Field(ge=65536)] = Field(
        256 * 1024 * 1024, description="so much may wait on disk while Solomon is away"
    )
    spool_max_age: Duration = Field(
        timedelta(days=1), description="so long may it wait; then it is dropped and counted"
    )
    spool_requests_per_second: Annotated[float, Field(gt=0, le=10_000)] = Field(
        50.0, description="how fast it goes out when Solomon is back, 1000 points a request at most"
    )
    recorder_max_bytes: Annotated[int, Field(ge=1024 * 1024)] = Field(
        64 * 1024 * 1024,
        description="so much of the last runs is kept on disk: what they did and said",
    )
    scrape_port: Port | None = Field(
        None, description="port on 127.0.0.1 where Prometheus finds the same numbers; unset: none"
    )


class SolomonStandInSettings(_Settings):
    """Settings of the Solomon stand-in."""

    solomon_stand_in_host: str = Field(
        "127.0.0.1", description="address on which the stand-in listens"
    )
    solomon_stand_in_port: Port = Field(8081, description="port on which the stand-in listens")
    solomon_stand_in_database: Path = Field(
        Path("data/solomon_stand_in.sqlite"), description="file of the series"
    )
    solomon_stand_in_token_lifetime: Duration = Field(
        timedelta(hours=1), description="how long the tokens of its metadata service are good"
    )
    solomon_token: SecretStr | None = Field(
        None, description="the token that is accepted; unset: any"
    )


class ToolSettings(_Settings):
    """How every tool reaches the API."""

    api_url: str = Field("http://127.0.0.1:8080", description="address of the API")
    api_authorities: Path | None = Field(
        None,
        description="file (PEM) of the authorities that may vouch for the API's certificate; default: the well-known ones",
    )
    api_key: SecretStr | None = Field(None, description="key for the API")
    api_key_file: Path = Field(
        Path("data/admin.key"), description="file that holds the key, if it is not set itself"
    )


class SynchronizeSettings(ToolSettings):
    """Settings of `yc-mr-prober-synchronize`."""

    configs: Path = Field(Path("configs"), description="the config repository")


class MeeseeksSettings(ToolSettings, SolomonSettings):
    """Settings of `yc-mr-prober-meeseeks`."""

    compute_admin_endpoint: str = Field("", description="`host:port` of the Compute Admin API")
    compute_admin_authorities: Path | None = Field(
        None,
        description="file (PEM) of the authorities that may vouch for its certificate; default: the well-known ones",
    )
    compute_admin_plaintext: bool = Field(
        False, description="whether it is called without TLS, which only loopback permits"
    )
    compute_admin_token: SecretStr | None = Field(
        None, description="IAM token for it; with neither this nor a file: the VM's own"
    )
    compute_admin_token_file: Path | None = Field(
        None, description="file that holds the token, read for each call"
    )
    compute_admin_call_limit: Annotated[Duration, Field(gt=timedelta(0))] = Field(
        timedelta(seconds=10), description="longest time of one call to it, seconds"
    )
    compute_admin_list_limit: Annotated[Duration, Field(gt=timedelta(0))] = Field(
        timedelta(minutes=2), description="longest time of a whole list, seconds"
    )
    metadata_url: str = Field(
        "http://169.254.169.254", description="address of the VM's metadata service"
    )
    proto_specs: Path = Field(
        default_factory=lambda: Path(__file__).parent,
        description="folder in which `./build_proto_specs.sh` put `yandex/`; default: the root of the repository",
    )
    host: str = Field(
        default_factory=socket.getfqdn, description="label `host` of its metrics; default: the FQDN"
    )
    meeseeks_interval: Annotated[Duration, Field(gt=timedelta(0))] = Field(
        timedelta(minutes=1), description="pause between two rounds of `--watch`, seconds"
    )
    meeseeks_largest_share: float = Field(
        0.3,
        ge=0,
        le=1,
        description="share of the nodes that may go or change at once without `--force`, from 10 nodes up",
    )
    meeseeks_metrics_port: Port | None = Field(
        None,
        description="port on 127.0.0.1 where Prometheus finds the metrics of `--watch`; 0: any; unset: none",
    )
    meeseeks_metrics_file: Path | None = Field(
        None, description="file into which each round writes the same metrics; unset: none"
    )


class AgentToolSettings(_Settings):
    """Settings of `yc-mr-prober-agent`: which agent; the API is only asked for the time, and only if that does not answer."""

    agent_dir: Path = Field(
        Path("data/agent"), description="folder of the agent: document, files, state"
    )
    api_url: str = Field("http://127.0.0.1:8080", description="address of the API")


class DemoSettings(_Settings):
    """Settings of `make demo`."""

    demo_dir: Path = Field(Path(".demo"), description="the one folder that the demo writes to")
    demo_configs: Path = Field(
        Path("configs"), description="the config repository that the demo synchronizes"
    )
    api_port: Port = Field(8080, description="port of the page")
    solomon_stand_in_port: Port = Field(8081, description="port of the Solomon stand-in")
    demo_tcp_port: Port = Field(8091, description="port of the TCP target")
    demo_http_port: Port = Field(8092, description="port of the HTTP target")
    demo_dns_port: Port = Field(8093, description="port of the DNS target")
