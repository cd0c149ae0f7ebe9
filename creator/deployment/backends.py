"""Where terraform keeps the states: files of the data folder, or S3 with a lock file beside each state.

A cluster's state key is chosen at its first deployment and never computed again:
`local`, or `s3://<bucket>/<prefix><cluster id>`. Nothing is migrated: docs/decisions/0014-where-states-are.md.
"""

import contextlib
import logging
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import JsonValue

from common.atomic_files import write_atomically
from common.contracts.deployments import StateLock
from common.s3_object_storage import S3Access
from creator.deployment.records import LOCAL_STATE
from creator.deployment.workspaces import WAY_TO_DATA_FOLDER
from creator.errors import StateElsewhereError
from creator.steps.state_locks import LocalLock, LockReader, lock_of_json

log = logging.getLogger(__name__)

# A profile of our own, so that a recipe's AWS provider with its own profiles and variables never meets it.
_PROFILE = "mr-prober-states"
_SCHEME = "s3://"
CREDENTIALS_FILE = "states.credentials"


class States(Protocol):
    """The place of all states of an installation; pure but for its making."""

    def key_for(self, cluster_id: UUID) -> str:
        """The state key of a cluster that has none yet."""

    def backend(self, cluster_id: UUID, state_key: str) -> dict[str, JsonValue]:
        """terraform's `backend` block for the state; StateElsewhereError if the state is not in this place."""

    def shown(self, cluster_id: UUID, state_key: str) -> dict[str, JsonValue]:
        """What of it decides whether a cluster is deployed anew: the same on every host."""

    def is_missing(self, cluster_id: UUID, state_key: str) -> bool:
        """Whether nothing is where the state should be, or an empty file; one that cannot be seen just now is not missing. OSError.

        A terraform that is killed while it writes a file leaves an empty one, which the next one takes for no state at all.
        """

    def lock_reader(self, cluster_id: UUID, state_key: str) -> LockReader | None:
        """Where the lock of the state shows; None if that is not in this place."""


@dataclass(frozen=True)
class LocalStates:
    """`<folder>/<cluster id>/terraform.tfstate`, with terraform's own lock."""

    folder: Path

    def key_for(self, cluster_id: UUID) -> str:  # noqa: ARG002 - the folder is named by the id
        """All of them have the same."""
        return LOCAL_STATE

    def backend(self, cluster_id: UUID, state_key: str) -> dict[str, JsonValue]:
        """The file by its absolute path; StateElsewhereError."""
        if state_key != LOCAL_STATE:
            raise StateElsewhereError(
                state_key, "set S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY for this Creator, too"
            )
        return self.shown(cluster_id, state_key)

    def shown(self, cluster_id: UUID, state_key: str) -> dict[str, JsonValue]:
        """The same, whatever the key."""
        if state_key != LOCAL_STATE:
            return {"key": state_key}
        return {"local": {"path": str(self.path(cluster_id))}}

    def is_missing(self, cluster_id: UUID, state_key: str) -> bool:  # noqa: ARG002 - the folder is named by the id
        """Whether there is no such file, or nothing in it."""
        try:
            return self.path(cluster_id).stat().st_size == 0
        except FileNotFoundError:
            return True

    def lock_reader(self, cluster_id: UUID, state_key: str) -> LockReader | None:
        """What terraform writes beside the file."""
        return LocalLock(self.path(cluster_id)) if state_key == LOCAL_STATE else None

    def path(self, cluster_id: UUID) -> Path:
        """The state of a cluster."""
        return self.folder / str(cluster_id) / "terraform.tfstate"


@dataclass(frozen=True)
class S3States:
    """Objects in a bucket; the key is in a 0600 file outside of every workspace."""

    access: S3Access
    bucket: str
    prefix: str
    data_folder: Path
    client: Any

    @property
    def credentials_file(self) -> Path:
        """What terraform reads the key from."""
        return self.data_folder / CREDENTIALS_FILE

    def key_for(self, cluster_id: UUID) -> str:
        """Bucket and prefix of now."""
        return f"{_SCHEME}{self.bucket}/{self.prefix}{cluster_id}"

    def backend(self, cluster_id: UUID, state_key: str) -> dict[str, JsonValue]:
        """Nothing of it is secret; StateElsewhereError."""
        if not state_key.startswith(_SCHEME):
            raise StateElsewhereError(
                state_key,
                f"move the file states/{cluster_id}/terraform.tfstate of the data folder to {self.key_for(cluster_id)}"
                " and write that address into clusters.state_key, or run this Creator without S3 keys",
            )
        bucket, _, key = state_key.removeprefix(_SCHEME).partition("/")
        block: dict[str, JsonValue] = {
            "bucket": bucket,
            "key": key,
            "region": self.access.region,
            "use_lockfile": True,
            "encrypt": False,  # of the server; whoever reads the bucket reads the states either way
            "profile": _PROFILE,
            # A saved plan holds this block, and may be applied by a Creator whose data folder is elsewhere.
            "shared_credentials_files": [f"{WAY_TO_DATA_FOLDER}/{CREDENTIALS_FILE}"],
            # It is asked nothing but objects: no metadata server, no account, no list of regions.
            "skip_credentials_validation": True,
            "skip_metadata_api_check": True,
            "skip_region_validation": True,
            "skip_requesting_account_id": True,
            "skip_s3_checksum": True,  # not every S3 knows the newer ones
        }
        if self.access.endpoint_url:
            block |= {"endpoints": {"s3": self.access.endpoint_url}, "use_path_style": True}
        return {"s3": block}

    def shown(self, cluster_id: UUID, state_key: str) -> dict[str, JsonValue]:  # noqa: ARG002 - a port
        """Neither endpoint nor paths of this host: the state stays the same if those change."""
        return {"key": state_key}

    def is_missing(self, cluster_id: UUID, state_key: str) -> bool:  # noqa: ARG002 - a port
        """Whether S3 says that there is no such object, or nothing in it."""
        bucket, _, key = state_key.removeprefix(_SCHEME).partition("/")
        try:
            return bool(self.client.head_object(Bucket=bucket, Key=key)["ContentLength"] == 0)
        except ClientError as error:
            return bool(error.response["Error"]["Code"] in {"404", "NoSuchKey"})
        except BotoCoreError:
            return False

    def lock_reader(self, cluster_id: UUID, state_key: str) -> LockReader | None:  # noqa: ARG002 - a port
        """The object beside the state."""
        if not state_key.startswith(_SCHEME):
            return None
        bucket, _, key = state_key.removeprefix(_SCHEME).partition("/")
        return S3Lock(self.client, bucket, f"{key}.tflock")

    def write_credentials(self) -> None:
        """Make the file with our key; OSError."""
        text = (
            f"[{_PROFILE}]\n"
            f"aws_access_key_id = {self.access.access_key_id}\n"
            f"aws_secret_access_key = {self.access.secret_access_key}\n"
        )
        write_atomically(self.credentials_file, text.encode())


@dataclass(frozen=True)
class S3Lock:
    """The lock of a state in S3: an object that stays when its holder dies."""

    client: Any
    bucket: str
    key: str
    stays = True
    pause = timedelta(seconds=1)

    def read(self) -> StateLock | None:
        """What terraform wrote into it."""
        with contextlib.suppress(BotoCoreError, ClientError):
            answer = self.client.get_object(Bucket=self.bucket, Key=self.key)
            return lock_of_json(answer["Body"].read())
        return None


def warn_without_versions(client: Any, bucket: str) -> None:
    """Say it once if the bucket keeps no old versions: they are the only way back from a broken state."""
    try:
        answer = client.get_bucket_versioning(Bucket=bucket)
    except (BotoCoreError, ClientError) as error:
        log.warning("cannot tell whether bucket %s keeps versions of states: %s", bucket, error)
        return
    if answer.get("Status") != "Enabled":
        log.warning(
            "bucket %s keeps no old versions of states: switch versioning on, it is the only way back",
            bucket,
        )
