"""A whole Creator whose states and files are in a real S3."""

from pathlib import Path
from typing import Any

from pydantic import SecretStr

from common.s3_object_storage import S3Access, S3ObjectStorage, s3_client
from database.session import Database
from tests.integration.creator.installation import Installation

STATES = "objects"  # the one bucket of the test server


class InstallationInS3(Installation):
    """One machine; others may share database and S3 with it."""

    def __init__(self, database: Database, folder: Path, access: S3Access) -> None:
        super().__init__(database, folder)
        folder.mkdir()
        self._access = access
        self.client: Any = s3_client(access)
        self.storage = S3ObjectStorage(self.client, STATES, prefix="test/")  # type: ignore[assignment]
        self.settings |= {
            "environment": "test",
            "S3_ACCESS_KEY_ID": SecretStr(access.access_key_id),
            "S3_SECRET_ACCESS_KEY": SecretStr(access.secret_access_key),
            "s3_endpoint_url": access.endpoint_url,
            "s3_region": access.region,
            "s3_states_bucket": STATES,
            "s3_files_bucket": STATES,
        }

    def environment(self) -> dict[str, str]:
        """For a Creator that is a process of its own."""
        return super().environment() | {
            "S3_ACCESS_KEY_ID": self._access.access_key_id,
            "S3_SECRET_ACCESS_KEY": self._access.secret_access_key,
            "MR_PROBER_ENVIRONMENT": "test",
            "MR_PROBER_S3_ENDPOINT_URL": self._access.endpoint_url,
            "MR_PROBER_S3_REGION": self._access.region,
            "MR_PROBER_S3_STATES_BUCKET": STATES,
            "MR_PROBER_S3_FILES_BUCKET": STATES,
        }

    def lock(self, slug: str) -> bytes:
        """The lock of a state as it lies there; empty if there is none."""
        return self._object(f"{self._key(slug)}.tflock")

    def put_lock(self, slug: str, content: bytes) -> None:
        """A lock that somebody made."""
        self.client.put_object(Bucket=STATES, Key=f"{self._key(slug)}.tflock", Body=content)

    def remove_lock(self, slug: str) -> None:
        """Whoever had it has given it back."""
        self.client.delete_object(Bucket=STATES, Key=f"{self._key(slug)}.tflock")

    def stored_state(self, slug: str) -> bytes:
        """terraform's state; empty if there is none."""
        return self._object(self._key(slug))

    def _key(self, slug: str) -> str:
        return f"test/{self.cluster(slug).id}"

    def _object(self, key: str) -> bytes:
        try:
            answer = self.client.get_object(Bucket=STATES, Key=key)
        except self.client.exceptions.NoSuchKey:
            return b""
        content: bytes = answer["Body"].read()
        return content
