"""What the owner of this machine forbids, whatever the API says: *decide*, and the file that says so.

    probers = ["disk-*"]                  # globs over slugs
    users = ["root"]                      # globs over the users that programs would have
    commands = ["/usr/bin/nc", "*curl*"]  # globs over the program, its name, and the whole command line

Each list says what is forbidden.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from agent.errors import RulesFileError
from common.contracts.resolution import EffectiveProber, matches_any

_LISTS = ("probers", "users", "commands")


@dataclass(frozen=True)
class Rules:
    """Globs of what is forbidden; `default_user` is whose rights a prober has that names no user."""

    probers: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    default_user: str = ""

    def problem_of(self, prober: EffectiveProber) -> str:
        """Why the owner of this machine forbids the prober; empty if not."""
        programs = [run.arguments for run in prober.runs]
        return self.problem_of_programs(prober.slug, prober.settings.user, programs)

    def problem_of_programs(self, slug: str, user: str, programs: Iterable[Sequence[str]]) -> str:
        """The same for what is started under this name; `user` is empty for the default one."""
        by = "forbidden by the owner of this machine"
        if matches_any(slug, self.probers):
            return f"{by}: prober {slug}"
        user = user or self.default_user
        if matches_any(user, self.users):
            return f"{by}: user {user}"
        for arguments in programs:
            if any(matches_any(form, self.commands) for form in _forms(arguments)):
                return f"{by}: command {arguments[0]}"
        return ""


def rules_in(path: Path, *, default_user: str) -> Rules:
    """The rules of a file; RulesFileError names the line."""
    text = ""
    try:
        text = path.read_text()
        content = tomllib.loads(text)
    except OSError as error:
        raise RulesFileError(path, f"cannot be read: {error.strerror}") from error
    except ValueError as error:  # the library's own text names the line
        end = f"at line {len(text.splitlines())}"
        raise RulesFileError(path, str(error).replace("at end of document", end)) from error
    _refuse_mistakes(path, text, content)
    lists = {name: tuple(content.get(name, ())) for name in _LISTS}
    return Rules(**lists, default_user=default_user)


def _refuse_mistakes(path: Path, text: str, content: Mapping[str, object]) -> None:
    for name, value in content.items():
        if name not in _LISTS:
            mistake = f"{name!r} is not known here, only {', '.join(_LISTS)}"
        elif not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            mistake = f"{name}: expected a list of texts"
        else:
            continue
        raise RulesFileError(path, f"{mistake} (at line {_line_of(name, text)})")


def _line_of(name: str, text: str) -> int:
    begins = re.compile(rf"""\s*\[*\s*["']?{re.escape(name)}\b""")
    lines = text.splitlines()
    return next((number for number, line in enumerate(lines, 1) if begins.match(line)), 1)


def _forms(arguments: Sequence[str]) -> tuple[str, ...]:
    return arguments[0], PurePath(arguments[0]).name, " ".join(arguments)
