"""Whether the service in this container works: exit code 0 or 1, for HEALTHCHECK. Standard library only: it starts often.

health_check.py http [https|""] PORT PATH   a GET on loopback is answered with 200
health_check.py fresh FILE SECONDS          the file was written within that time
"""

import http.client
import ssl
import sys
import time
from pathlib import Path

TIME_LIMIT_SECONDS = 8


def answers(scheme: str, port: int, path: str) -> bool:
    """Whether a GET is answered with 200. OSError, HTTPException."""
    address = ("127.0.0.1", port)
    if scheme == "https":
        context = ssl.create_default_context()
        # It asks itself: the certificate names the address that others use.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            *address, timeout=TIME_LIMIT_SECONDS, context=context
        )
    else:
        connection = http.client.HTTPConnection(*address, timeout=TIME_LIMIT_SECONDS)
    connection.request("GET", path)
    return connection.getresponse().status == 200


def main(arguments: list[str]) -> int:
    """The exit code; what is wrong goes to stderr."""
    try:
        if arguments[0] == "http":
            is_well = answers(arguments[1], int(arguments[2]), arguments[3])
        else:
            is_well = time.time() - Path(arguments[1]).stat().st_mtime < float(arguments[2])
    except (OSError, http.client.HTTPException) as error:
        print(error, file=sys.stderr)
        return 1
    return 0 if is_well else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
