"""An S3 server with the buckets of Mr. Prober, for docker-compose.yml: writes its configuration, then becomes SeaweedFS.

start.py           S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY are the one key that it takes
start.py --check   exit code 0 when the server answers; makes the buckets that are missing
"""

import http.client
import json
import os
import sys
from pathlib import Path

DATA = Path("/var/lib/s3")
PROGRAM = Path("/opt/s3/bin/weed")
BUCKETS = ("configurations", "files", "states", "logs")
S3_PORT, FILER_PORT = 8333, 8888


def become_server() -> None:
    """Does not return. Only S3 listens beyond loopback: all else would answer without a key."""
    credentials = {
        "accessKey": os.environ["S3_ACCESS_KEY_ID"],
        "secretKey": os.environ["S3_SECRET_ACCESS_KEY"],
    }
    rights = ["Admin", "Read", "Write", "List", "Tagging"]
    identity = {"name": "mr-prober", "credentials": [credentials], "actions": rights}
    configuration = DATA / "s3.json"
    configuration.touch(mode=0o600)
    configuration.write_text(json.dumps({"identities": [identity]}))
    arguments = [
        PROGRAM.name,
        "server",
        f"-dir={DATA}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-master.volumeSizeLimitMB=64",
        "-volume.max=100",  # each bucket takes seven at once; they are as large as what is in them
        "-volume.preStopSeconds=1",  # nobody else has to learn that it goes
        f"-filer.port={FILER_PORT}",
        "-s3",
        f"-s3.port={S3_PORT}",
        "-s3.ip.bind=0.0.0.0",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        f"-s3.config={configuration}",
    ]
    environment = {"HOME": str(DATA), "PATH": os.environ["PATH"]}
    os.execve(PROGRAM, arguments, environment)  # noqa: S606 - no shell is wanted


def is_ready() -> bool:
    """Whether S3 answers (with 403, since we bring no key) and has its buckets, which are folders of the filer."""
    for bucket in BUCKETS:
        folder = f"/buckets/mr-prober-{bucket}/"
        if _status("GET", FILER_PORT, f"{folder}?limit=1") == 404:
            _status("POST", FILER_PORT, folder)
    return _status("GET", S3_PORT, "/") == 403


def _status(method: str, port: int, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=4)
    connection.request(method, path, headers={"Accept": "application/json", "Content-Length": "0"})
    return connection.getresponse().status


def main(arguments: list[str]) -> int:
    """The exit code of the check."""
    if arguments != ["--check"]:
        become_server()
    try:
        return 0 if is_ready() else 1
    except (OSError, http.client.HTTPException) as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
