#!/usr/bin/env python3
"""Prints what Lockbox holds for this cluster's agents, with the rights of the machine's service account."""

import json
import os
import sys
import urllib.request
from pathlib import Path

METADATA = os.environ.get("MR_PROBER_METADATA_URL", "http://169.254.169.254")
LOCKBOX = os.environ.get("MR_PROBER_LOCKBOX_URL", "https://payload.lockbox.api.cloud.yandex.net")
STORE = os.environ.get("MR_PROBER_STORE", "/usr/local/lib/mr-prober/store")
TOKEN = "/computeMetadata/v1/instance/service-accounts/default/token"  # noqa: S105 - a path


def main() -> int:
    """The agent's token, then the address of its second source, each on a line; 1 if they cannot be had."""
    try:
        secret_id = Path(STORE).read_text().strip()
        token = _answer(METADATA + TOKEN, {"Metadata-Flavor": "Google"})["access_token"]
        address = f"{LOCKBOX}/lockbox/v1/secrets/{secret_id}/payload"
        payload = _answer(address, {"Authorization": f"Bearer {token}"})
        entries = {entry["key"]: entry.get("textValue", "") for entry in payload["entries"]}
        print(entries["agent-token"])
        print(entries.get("fallback-url", ""))
    except (OSError, ValueError, KeyError) as error:
        # What an answer holds is never printed.
        print(f"the secret cannot be read: {type(error).__name__}: {_said(error)}", file=sys.stderr)
        return 1
    return 0


def _answer(address: str, headers: dict[str, str]) -> dict:
    # The proxies of an environment are not for tokens.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(address, headers=headers)  # noqa: S310 - two addresses, both ours
    with opener.open(request, timeout=10) as response:
        return json.load(response)


def _said(error: Exception) -> str:
    return str(error) if isinstance(error, OSError) else ""


if __name__ == "__main__":
    sys.exit(main())
