"""Object storage in S3, through boto3. Only API and Creator may import this: agents hold no storage key and no boto3."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from common.object_storage import ObjectStorageError, SignedAddress, StoredObject

_MISSING = frozenset({"404", "NoSuchKey", "NotFound"})
_REFUSED = frozenset(
    {"401", "403", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "Forbidden"}
)


@dataclass(frozen=True)
class S3Access:
    """Where an S3 is and who we are there; an empty endpoint is Amazon's."""

    endpoint_url: str
    region: str
    access_key_id: str
    secret_access_key: str = field(repr=False)


def s3_client(access: S3Access) -> Any:
    """A client of boto3, for all threads; nothing is taken from the environment or from files of ~/.aws."""
    return boto3.client(
        "s3",
        endpoint_url=access.endpoint_url or None,
        region_name=access.region,
        aws_access_key_id=access.access_key_id,
        aws_secret_access_key=access.secret_access_key,
        config=Config(
            connect_timeout=5,
            read_timeout=10,
            # Each of our calls may be repeated: objects are replaced whole.
            retries={"mode": "standard", "total_max_attempts": 3},
            max_pool_connections=50,
            signature_version="s3v4",
            # Not every S3 knows boto3's newer checksums.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            s3={"addressing_style": "path" if access.endpoint_url else "auto"},
            proxies={},
            ignore_configured_endpoint_urls=True,
        ),
    )


class S3ObjectStorage:
    """Objects below one prefix of a bucket; an S3 shows an object whole or not at all."""

    def __init__(self, client: Any, bucket: str, *, prefix: str = "") -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = prefix

    def write(self, key: str, content: bytes) -> None:
        """Put the object."""
        try:
            self._client.put_object(Bucket=self._bucket, Key=self._prefix + key, Body=content)
        except (BotoCoreError, ClientError) as error:
            raise self._error("write", key, error) from error

    def read(self, key: str) -> bytes | None:
        """Get the object, if there is one."""
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=self._prefix + key)
            content: bytes = answer["Body"].read()
        except ClientError as error:
            if _code(error) in _MISSING:
                return None
            raise self._error("read", key, error) from error
        except BotoCoreError as error:
            raise self._error("read", key, error) from error
        return content

    def exists(self, key: str) -> bool:
        """Ask for the object's head."""
        try:
            self._client.head_object(Bucket=self._bucket, Key=self._prefix + key)
        except ClientError as error:
            if _code(error) in _MISSING:
                return False
            raise self._error("look for", key, error) from error
        except BotoCoreError as error:
            raise self._error("look for", key, error) from error
        return True

    def delete(self, key: str) -> None:
        """Delete the object; S3 does not mind if there is none."""
        try:
            self._client.delete_object(Bucket=self._bucket, Key=self._prefix + key)
        except (BotoCoreError, ClientError) as error:
            raise self._error("delete", key, error) from error

    def listed(self, folder: str) -> Iterator[StoredObject]:
        """List below the folder, page by page."""
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=f"{self._prefix}{folder}/", Delimiter="/"
        )
        try:
            for page in pages:
                for found in page.get("Contents", ()):
                    key = found["Key"].removeprefix(self._prefix)
                    yield StoredObject(key, found["LastModified"])
        except (BotoCoreError, ClientError) as error:
            raise self._error("list", folder, error) from error

    def signed_address(
        self, key: str, *, size: int, content_type: str, lifetime: timedelta
    ) -> SignedAddress:
        """A presigned PUT: S3 itself refuses another size or type, and everything after its end."""
        target = {"Bucket": self._bucket, "Key": self._prefix + key}
        bound = {"ContentLength": size, "ContentType": content_type}
        try:
            url = self._client.generate_presigned_url(
                "put_object",
                Params={**target, **bound},
                ExpiresIn=int(lifetime.total_seconds()),
                HttpMethod="PUT",
            )
        except (BotoCoreError, ClientError) as error:
            raise self._error("sign an address for", key, error) from error
        return SignedAddress(url, {"Content-Length": str(size), "Content-Type": content_type})

    def _error(self, what: str, key: str, error: BotoCoreError | ClientError) -> ObjectStorageError:
        code = _code(error)
        cause = str(error)
        if code == "NoSuchBucket":
            cause = "there is no such bucket: make it, or name another one in the settings"
        elif code in _REFUSED:
            cause = f"S3 refuses the key ({code}): check S3_ACCESS_KEY_ID, S3_SECRET_ACCESS_KEY and the key's rights"
        return ObjectStorageError(what, f"s3://{self._bucket}/{self._prefix}{key}", cause)


def _code(error: BotoCoreError | ClientError) -> str:
    response = error.response if isinstance(error, ClientError) else {}
    return str(response.get("Error", {}).get("Code", ""))
