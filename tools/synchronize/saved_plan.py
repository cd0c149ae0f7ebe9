"""A plan in a file: `apply FILE` does what was reviewed, or a part of it that is still to do, and nothing else."""

import json
from collections.abc import Sequence
from pathlib import Path

from pydantic import JsonValue, ValidationError

from common.atomic_files import write_atomically
from common.contracts.values import Wire
from tools.synchronize.errors import MovedWorldError, UnusablePlanError
from tools.synchronize.objects import Desired
from tools.synchronize.plan import Plan
from tools.synchronize.plan_values import digest_of, plan_value

FORMAT = 1


class SavedPlan(Wire):
    """What the file holds: the plan as people and programs read it, a digest per change, and the choices of its author.

    Values that nobody may see are in the digests only.
    """

    format: int
    api_url: str
    environment: str
    adopted: list[str]
    force: bool
    confirmed: list[str]
    digests: list[str]
    plan: dict[str, JsonValue]

    def require(self, plan: Plan, desired: Desired, *, api_url: str, environment: str) -> None:
        """MovedWorldError unless each change that is due now is one that was reviewed, to the last byte."""
        if (api_url, environment) != (self.api_url, self.environment):
            reviewed = f"environment {self.environment} at {self.api_url}"
            raise MovedWorldError([f"the plan was made for {reviewed}"])
        reviewed_digests = set(self.digests)
        moved = [
            f"{change.action} {change.title} is not in the plan, or not as it was reviewed"
            for change in plan.changes
            if digest_of(change, desired) not in reviewed_digests
        ]
        if moved:
            raise MovedWorldError(moved)


def save_plan(  # noqa: PLR0913 - a file of facts
    path: Path,
    plan: Plan,
    desired: Desired,
    *,
    api_url: str,
    environment: str,
    adopted: Sequence[str],
    force: bool,
    confirmed: Sequence[str],
) -> None:
    """Write the file; UnusablePlanError if it cannot be written."""
    saved = SavedPlan(
        format=FORMAT,
        api_url=api_url,
        environment=environment,
        adopted=list(adopted),
        force=force,
        confirmed=sorted(confirmed),
        digests=[digest_of(change, desired) for change in plan.changes],
        plan=plan_value(plan),
    )
    text = json.dumps(saved.model_dump(mode="json"), ensure_ascii=False, indent=2)
    try:
        write_atomically(path, f"{text}\n".encode())
    except OSError as error:
        raise UnusablePlanError(path, f"cannot be written: {error.strerror}") from error


def read_plan(path: Path) -> SavedPlan:
    """The plan of a file; UnusablePlanError."""
    try:
        saved = SavedPlan.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UnusablePlanError(path, f"cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise UnusablePlanError(path, "is no plan that this tool has saved") from error
    if saved.format != FORMAT:
        raise UnusablePlanError(path, f"has format {saved.format}, which this version cannot read")
    return saved
