"""What the starter is asked to start: a value that crosses from Creator to it. Standard library only."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

# terraform and all that it starts carry it, so that a sweep kills nobody else's processes.
STEP_VARIABLE = "MR_PROBER_STEP"


@dataclass(frozen=True)
class User:
    """As whom terraform runs, if not as Creator itself."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()


@dataclass(frozen=True)
class Launch:
    """One command; `folder` is its own alone, and its name is the step's id.

    It does not start any more once the wall clock has reached `start_before_seconds` (since the epoch): by then somebody
    else may look after the cluster.
    """

    folder: str
    arguments: tuple[str, ...]
    working_directory: str
    environment: dict[str, str]
    time_limit_seconds: float
    grace_seconds: float
    start_before_seconds: float
    user: User | None = None

    def to_json(self) -> bytes:
        """As one message."""
        return json.dumps(asdict(self)).encode()

    @property
    def whole_environment(self) -> dict[str, str]:
        """With the mark by which the step's processes are known."""
        return self.environment | {STEP_VARIABLE: Path(self.folder).name}


def launch_of_json(message: bytes) -> Launch:
    """The launch that `to_json` wrote."""
    fields = json.loads(message)
    user = fields.pop("user")
    arguments = tuple(fields.pop("arguments"))
    if user:
        user = User(uid=user["uid"], gid=user["gid"], groups=tuple(user["groups"]))
    return Launch(**fields, arguments=arguments, user=user)
