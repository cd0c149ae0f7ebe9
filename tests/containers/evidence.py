"""What containers said last, without their secrets: it goes into the message of a test that failed."""

import json
import re

from tests.containers.daemon import Daemon

LINES = 40
_SECRET_NAME = re.compile(r"KEY|TOKEN|PASSWORD|SECRET|DATABASE_URL")
_SIGN_IN = re.compile(r"(?<=token=)\S+")


def evidence(daemon: Daemon) -> str:
    """State and last lines of each container, and those of the daemon."""
    names = daemon.docker("ps", "--all", "--format", "{{.Names}}", check=False).split()
    parts = [daemon.docker("ps", "--all", check=False)]
    for name in names:
        said = daemon.docker("logs", "--timestamps", "--tail", str(LINES), name, check=False)
        health = daemon.docker("inspect", "--format", "{{json .State}}", name, check=False)
        parts.append(f"--- {name}\n{health}\n{said}")
    parts.append(f"--- dockerd\n{daemon.log()}")
    return masked("\n".join(parts), secrets_of(daemon, names))


def secrets_of(daemon: Daemon, containers: list[str]) -> set[str]:
    """The values that the containers were given under a name that says so, and the passwords in them."""
    found: set[str] = set()
    for container in containers:
        given = daemon.docker("inspect", "--format", "{{json .Config.Env}}", container, check=False)
        if not given.startswith("["):
            continue  # gone meanwhile
        for name, _, value in (line.partition("=") for line in json.loads(given)):
            if _SECRET_NAME.search(name) and not name.endswith("_FILE"):
                found |= {value, *re.findall(r"://[^:/@]*:([^@]+)@", value)}
    return {value for value in found if len(value) > 3}


def masked(text: str, secrets: set[str]) -> str:
    """The text without them, and without links that sign somebody in."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return _SIGN_IN.sub("***", text)
