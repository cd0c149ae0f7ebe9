"""Judge: is a recipe's revision valid? terraform says so, in a scratch folder, without backend, state and values."""

import json
import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any

from sqlalchemy.exc import OperationalError

from common.contracts.recipes import RevisionProblem, Validity
from common.object_storage import ObjectStorage, ObjectStorageError
from creator.check_records import CheckRecords, UncheckedRevision
from creator.deployment.running import Engine
from creator.deployment.terraform import error_in, shortened
from creator.deployment.workspaces import read_recipe, unpack
from creator.errors import CreatorStopsError, FileContentError, TerraformNotStartedError
from creator.steps.commands import Commands
from creator.steps.orders import StepEnd, StepOrder
from creator.steps.users import hand_over, open_the_way

log = logging.getLogger(__name__)

TIME_LIMIT = timedelta(minutes=5)
FIRST_RETRY_DELAY = timedelta(seconds=30)
MAXIMUM_RETRY_DELAY = timedelta(hours=1)
AT_ONCE = 5
_MAX_PROBLEMS = 20
_MAX_MESSAGE_LENGTH = 2000
# What `validate` finds when `init` could not fetch something: no word about the recipe.
_NOT_FETCHED = frozenset(
    {
        "Missing required provider",
        "Module not installed",
        "Required plugins are not installed",
        "Inconsistent dependency lock file",
        "Failed to load plugin schemas",
        "Failed to instantiate provider",
        "Could not load plugin",
    }
)


@dataclass(frozen=True)
class Bench:
    """With what a recipe is tried, and where."""

    engine: Engine
    commands: Commands
    data_folder: Path


@dataclass(frozen=True)
class Verdict:
    """What came of a check; an unchecked one is tried again, its problem says why."""

    validity: Validity
    problems: tuple[RevisionProblem, ...] = ()


def verdict_of(validated: bytes, init_complaint: str) -> Verdict:
    """The verdict behind the answer of `validate -json`; `init_complaint` is empty if `init` went well. Pure."""
    try:
        errors = [one for one in json.loads(validated)["diagnostics"] if one["severity"] == "error"]
    except (ValueError, KeyError, TypeError):
        return undecided(init_complaint or "terraform validate gave no answer")
    of_recipe = [error for error in errors if error["summary"] not in _NOT_FETCHED]
    if of_recipe:
        problems = tuple(_problem(error) for error in of_recipe[:_MAX_PROBLEMS])
        return Verdict(Validity.INVALID, problems)
    if init_complaint or errors:
        return undecided(init_complaint or _problem(errors[0]).message)
    return Verdict(Validity.VALID)


def undecided(reason: str) -> Verdict:
    """terraform could not judge."""
    message = shortened(reason.replace("\0", ""), _MAX_MESSAGE_LENGTH)
    return Verdict(Validity.UNCHECKED, (RevisionProblem(message=message),))


def next_check_at(created_at: datetime, now: datetime) -> datetime:
    """When an undecided revision is tried again: after as long as it has been there, within bounds."""
    return now + min(max(now - created_at, FIRST_RETRY_DELAY), MAXIMUM_RETRY_DELAY)


class RecipeChecks:
    """Judges new revisions, one after the other, in one thread."""

    def __init__(
        self,
        records: CheckRecords,
        storage: ObjectStorage,
        bench: Bench,
        stop: Event,
    ) -> None:
        self._records = records
        self._storage = storage
        self._bench = bench
        self._folder = bench.data_folder / "checks"
        self._stop = stop

    def is_due(self) -> bool:
        """Whether there is anything to judge."""
        return bool(self._records.due(limit=1))

    def run(self) -> None:
        """Judge what is due, a bounded number; nothing of it may stop Creator."""
        try:
            for revision in self._records.due(AT_ONCE):
                if self._stop.is_set():
                    return
                self._judge(revision)
        except CreatorStopsError:
            return
        except OperationalError as error:
            log.warning("the database is away, recipes wait for their check: %s", error)

    def _judge(self, revision: UncheckedRevision) -> None:
        try:
            verdict = self._verdict(revision)
        except (OSError, FileContentError, ObjectStorageError, TerraformNotStartedError) as error:
            verdict = undecided(str(error))
        except (CreatorStopsError, OperationalError):
            raise
        except Exception as error:  # a bug of ours, which this revision has met
            log.exception("cannot check a recipe recipe=%s", revision.recipe)
            verdict = undecided(f"Creator failed at it: {type(error).__name__}")
        self._records.judged(
            revision,
            verdict.validity,
            verdict.problems,
            again_at=next_check_at(revision.created_at, self._records.now()),
        )
        log.info(
            "recipe %s recipe=%s revision=%d", verdict.validity, revision.recipe, revision.number
        )

    def _verdict(self, revision: UncheckedRevision) -> Verdict:
        scratch = self._folder / str(revision.id)
        shutil.rmtree(scratch, ignore_errors=True)  # of a Creator that was killed
        try:
            files = self._records.files(revision.id)
            recipe = scratch / "recipe"
            recipe.mkdir(mode=0o700, parents=True)
            unpack(recipe, files, read_recipe(self._storage, files))
            return self._judged_by_terraform(scratch)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def _judged_by_terraform(self, scratch: Path) -> Verdict:
        self._open_to_terraform(scratch)
        arguments = self._bench.engine.arguments
        init = self._run(arguments.init_without_backend(), scratch)
        if init.interrupted or init.killed:
            seconds = TIME_LIMIT.total_seconds()
            return undecided(f"terraform init did not end within {seconds:g} seconds")
        complaint = ""
        if init.exit_code != 0:
            text = _said(init)
            complaint = error_in(text) or text.strip() or f"exit code {init.exit_code}"
        validated = self._run(arguments.validate(), scratch)
        return verdict_of((validated.output / "stdout").read_bytes(), complaint)

    def _open_to_terraform(self, scratch: Path) -> None:
        user = self._bench.commands.user
        hand_over(scratch / "recipe", user)
        open_the_way(scratch, self._bench.data_folder, user)

    def _run(self, arguments: Sequence[str], scratch: Path) -> StepEnd:
        engine = self._bench.engine
        order = StepOrder(
            kind="check",
            arguments=tuple(arguments),
            folder=scratch / "run",
            working_directory=scratch / "recipe",
            environment=engine.environment,
            time_limit=min(TIME_LIMIT, engine.step_time_limit),
        )
        return self._bench.commands.run(order, stop=self._stop.is_set)


def _said(end: StepEnd) -> str:
    """Both streams: what terraform complains of is on either."""
    streams = (end.output / "stdout", end.output / "stderr")
    return "\n".join(stream.read_text(errors="replace") for stream in streams)


def _problem(diagnostic: dict[str, Any]) -> RevisionProblem:
    place = diagnostic.get("range") or {}
    parts = (diagnostic.get("summary", ""), diagnostic.get("detail", ""))
    # A database stores no NUL characters.
    message = ": ".join(part for part in parts if part).replace("\0", "")
    return RevisionProblem(
        file=place.get("filename", ""),
        line=place.get("start", {}).get("line"),
        message=shortened(message, _MAX_MESSAGE_LENGTH),
    )
