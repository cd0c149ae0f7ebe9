"""The systems that are compared: how each is told to run the same programs, as a command line to start it by."""

import hashlib
import json
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from common.contracts.configuration import ConfigurationDocument, DocumentCluster
from common.contracts.values import canonical_json

ROOT = Path(__file__).parents[2]
# What `make bench` has unpacked where the machine has none.
PEERS = ROOT / ".venv/peers"
# Not the script of this name in `sbin`, which looks for files of an installed one.
_ICINGA = ("usr/lib/*/icinga2/sbin/icinga2",)
NOBODY = 65534


@dataclass(frozen=True)
class Load:
    """So many programs, each of them once in a period."""

    programs: int
    period_seconds: int
    witness: Path  # the program
    file: Path  # what it appends to
    folder: Path  # anybody may enter it
    time_limit_seconds: int = 10


@dataclass(frozen=True)
class Command:
    """How to start a system in the foreground."""

    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


def floor(load: Load) -> Command:
    """A loop in C: posix_spawn and waitpid."""
    period_ns = load.period_seconds * 10**9
    program = str(load.folder / "floor")
    return Command((program, str(load.witness), str(load.file), str(load.programs), str(period_ns)))


def sandbox_floor(load: Load) -> Command:
    """A loop in C: fork, rights and limits, execve, waitpid."""
    plain = floor(load)
    return Command((*plain.arguments, str(NOBODY)))


def agent(load: Load, *, user: str = "root", mode: str = "run", interpreter: str = "") -> Command:
    """Our agent as it is on a host whose API is away: it starts from the document on its disk.

    `interpreter` is the Python that runs the witness, if that is a Python file.
    """
    folder = load.folder / "agent"
    (folder / "documents").mkdir(parents=True)
    content = _document(load, mode, [interpreter] if interpreter else [])
    name = hashlib.sha256(content).hexdigest()
    (folder / "documents" / name).write_bytes(content)
    (folder / "current").write_text(f"{name}\n")
    return Command(
        (sys.executable, str(ROOT / "agent/main.py")),
        {
            "PYTHONPATH": str(ROOT),
            "MR_PROBER_CLUSTER": "bench",
            "MR_PROBER_HOST": "h1",
            "MR_PROBER_AGENT_TOKEN": "none",
            "MR_PROBER_API_URL": "http://127.0.0.1:1",
            "MR_PROBER_AGENT_DIR": str(folder),
            "MR_PROBER_AGENT_USER": user,
        },
    )


def sandboxed_agent(load: Load) -> Command:
    """The same, with another user's rights."""
    return agent(load, user="nobody")


def nagios(load: Load) -> Command | None:
    """Nagios Core, if it is here."""
    program = _peer("nagios4", "usr/sbin/nagios4")
    if program is None:
        return None
    folder = load.folder / "nagios"
    (folder / "results").mkdir(parents=True)
    services = "".join(
        f"define service {{\n host_name h\n service_description s{number}\n"
        f" check_command w!{number}\n check_interval {load.period_seconds}\n"
        f" retry_interval {load.period_seconds}\n max_check_attempts 1\n check_period always\n"
        " notifications_enabled 0\n contacts nobody\n}\n"
        for number in range(load.programs)
    )
    (folder / "objects.cfg").write_text(
        "define timeperiod {\n timeperiod_name always\n alias always\n"
        + "".join(f" {day} 00:00-24:00\n" for day in _DAYS)
        + "}\ndefine host {\n host_name h\n address 127.0.0.1\n max_check_attempts 1\n"
        " check_period always\n active_checks_enabled 0\n notifications_enabled 0\n contacts nobody\n}\n"
        f"define command {{\n command_name w\n command_line {load.witness} {load.file} $ARG1$\n}}\n"
        # It does not start without somebody to notify.
         + "define contact {\n contact_name nobody\n host_notifications_enabled 0\n"
        " service_notifications_enabled 0\n host_notification_period always\n"
        " service_notification_period always\n host_notification_commands w\n"
        " service_notification_commands w\n}\n" + services
    )
    (folder / "nagios.cfg").write_text(
        f"cfg_file={folder}/objects.cfg\nlog_file={folder}/log\nobject_cache_file={folder}/cache\n"
        f"status_file={folder}/status\nstate_retention_file={folder}/retention\n"
        f"check_result_path={folder}/results\ntemp_path={folder}\ntemp_file={folder}/temp\n"
        f"lock_file={folder}/lock\ncommand_file={folder}/command\nquery_socket={folder}/query\n"
        "nagios_user=nobody\nnagios_group=nogroup\ninterval_length=1\nmax_service_check_spread=1\n"
        "service_inter_check_delay_method=s\nstatus_update_interval=60\n"
        "enable_environment_macros=0\nuse_syslog=0\ncheck_for_updates=0\n"
        f"service_check_timeout={load.time_limit_seconds}\n"
    )
    for made in (folder, *folder.rglob("*")):
        made.chmod(0o777)
        shutil.chown(made, NOBODY)
    return Command((program, str(folder / "nagios.cfg")))


_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def icinga(load: Load) -> Command | None:
    """Icinga 2, if it is here."""
    program = _peer("icinga2", *_ICINGA)
    if program is None:
        return None
    folder = load.folder / "icinga"
    for name in ("run", "cache", "data", "log", "spool"):
        (folder / name).mkdir(parents=True)
    services = "".join(
        f'object Service "s{number}" {{ host_name = "h"; check_command = "w"; vars.id = "{number}";'
        f" check_interval = {load.period_seconds}s; retry_interval = {load.period_seconds}s;"
        " max_check_attempts = 1 }\n"
        for number in range(load.programs)
    )
    (folder / "icinga2.conf").write_text(
        # What Debian's package switches on.
        'include <itl>\nobject CheckerComponent "checker" { }\nobject NotificationComponent "notification" { }\n'
        'object FileLogger "main-log" { severity = "information"; path = LogDir + "/icinga2.log" }\n'
        'object Host "h" { check_command = "dummy"; enable_active_checks = false }\n'
        f'object CheckCommand "w" {{ command = ["{load.witness}", "{load.file}", "$id$"];'
        f" timeout = {load.time_limit_seconds}s }}\n" + services
    )
    for made in (folder, *folder.rglob("*")):
        shutil.chown(made, NOBODY)
    constants = {
        "RunAsUser": "nobody", "RunAsGroup": "nogroup", "ConfigDir": folder, "DataDir": folder / "data",
        "InitRunDir": folder / "run", "CacheDir": folder / "cache", "LogDir": folder / "log",
        "SpoolDir": folder / "spool",
    }  # fmt: skip
    environment = {}
    if program.startswith(str(PEERS)):
        share = PEERS / "usr/share/icinga2"
        constants |= {
            "PrefixDir": PEERS / "usr",
            "PkgDataDir": share,
            "IncludeConfDir": share / "include",
        }
        environment["LD_LIBRARY_PATH"] = str(Path(program).parents[2])
    defined = (part for name, value in constants.items() for part in ("-D", f"{name}={value}"))
    return Command((program, "daemon", "-c", str(folder / "icinga2.conf"), *defined), environment)


def _peer(name: str, *unpacked: str) -> str | None:
    """The program on PATH, or the one that `make bench` has unpacked (by globs)."""
    found = (str(path) for glob in unpacked for path in sorted(PEERS.glob(glob)))
    return next(found, None) or shutil.which(name)


def _document(load: Load, mode: str, interpreter: list[str]) -> bytes:
    document = ConfigurationDocument(
        format=1, revision=1, cluster=DocumentCluster(id=UUID(int=1), slug="bench"), probers=[]
    ).model_dump(mode="json")
    document["probers"] = [
        {
            "id": str(UUID(int=number + 1)),
            "slug": f"prober-{number}",
            "command": [*interpreter, str(load.witness), str(load.file), str(number)],
            "revision": 1,
            "revisions": {"1": []},
            "configs": [
                {
                    "slug": "all",
                    "settings": {
                        "interval_seconds": load.period_seconds,
                        "time_limit_seconds": load.time_limit_seconds,
                        "mode": mode,
                    },
                }
            ],
        }
        for number in range(load.programs)
    ]
    return canonical_json(json.loads(json.dumps(document)))


SYSTEMS: Mapping[str, Callable[[Load], Command | None]] = {
    "C loop": floor,
    "Mr. Prober": agent,
    "Nagios Core": nagios,
    "Icinga 2": icinga,
    "C loop, sandbox": sandbox_floor,
    "Mr. Prober, sandbox": sandboxed_agent,
}
FLOOR_OF = {"Mr. Prober, sandbox": "C loop, sandbox"}
