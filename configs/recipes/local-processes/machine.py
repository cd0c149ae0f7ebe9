#!/usr/bin/env python3
"""A "virtual machine" made of processes: a keeper with an address of its own, and an agent that dies with it.

    machine.py start         make and start the machine that $MR_PROBER_MACHINE describes (JSON)
    machine.py stop          stop it and remove its folder
    machine.py stop-cluster  the same for every machine of its cluster
    machine.py stop --all    power off every machine of the data folder; they keep their folders
    machine.py power-on --all   start whatever should run and does not, like machines after a power cut

A machine lives in $MR_PROBER_DATA_DIR/machines/<cluster>/<host>/: `machine.json` (how to start it), `machine.pid` (the keeper),
`token`, `machine.log`, `agent/` (the agent's own folder).
Starting and stopping may be repeated at any time.
Standard library only: it runs from a recipe's folder, with any Python 3.11 on Linux.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import pwd
import shutil
import signal
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

SECONDS_TO_START = 20.0
SECONDS_FOR_THE_AGENT_TO_END = 10.0
SECONDS_TO_STOP = SECONDS_FOR_THE_AGENT_TO_END + 10.0
SECONDS_BETWEEN_AGENTS = 1.0
SECONDS_BETWEEN_LOOKS_AT_THE_LOG = 10.0
MAX_LOG_BYTES = 2 * 1024 * 1024

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36

# What the agent gets from the environment in which the machine was started.
PASSED_ON = ("PATH", "HOME", "LANG")


class MachineError(Exception):
    """Why a machine cannot be started or stopped, as one sentence."""


# Commands


def main() -> int:
    """Do what the command line says; 0 = done, 1 = failed, 64 = usage."""
    command, *rest = sys.argv[1:] or [""]
    if command == "keep":  # the machine itself, started by `start`
        return keep(Path(rest[0]))
    if command == "agent":  # started by the keeper
        become_agent(Path(rest[0]))
    action = {
        "start": lambda: start(described_folder(), described_start()),
        "stop": lambda: stop(described_folder()),
        "stop-cluster": stop_cluster,
        "stop --all": lambda: for_each_machine(power_off),
        "power-on --all": lambda: for_each_machine(power_on_again),
    }.get(" ".join(sys.argv[1:]))
    if action is None:
        print(__doc__, file=sys.stderr)
        return 64
    # A terraform that is interrupted ends us with this signal: clean up what is half started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        action()
    except (MachineError, OSError) as error:
        print(f"machine: {error}", file=sys.stderr)
        return 1
    return 0


def start(folder: Path, description: dict[str, Any]) -> None:
    """Make the machine's folder and start its keeper; returns when it listens."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with locked(folder):
        if keeper_of(folder) and read_json(folder / "machine.json") == description:
            print(f"{folder.name} runs already")
            return
        stop_processes(folder)
        token = required("MR_PROBER_AGENT_TOKEN")
        write_file(folder / "token", token)
        write_file(folder / "machine.json", json.dumps(description, indent=1))
        # The recipe's folder may change or vanish while the machine runs.
        shutil.copyfile(__file__, folder / "machine.py")
        try:
            power_on(folder)
        except BaseException:
            # A machine whose start failed is no machine: terraform would not stop it either.
            stop_processes(folder)
            (folder / "machine.json").unlink(missing_ok=True)
            raise
        print(f"{folder.name} runs on {description['address']}:{description['port']}")


def stop(folder: Path) -> None:
    """Stop all processes of the machine and remove its folder."""
    if not folder.is_dir():
        print(f"{folder.name} does not exist")
        return
    with locked(folder):
        stop_processes(folder)
        remove_folder(folder)
    with contextlib.suppress(OSError):
        folder.parent.rmdir()  # the cluster's last machine
    print(f"{folder.name} is stopped")


def stop_cluster() -> None:
    """Stop every machine of the cluster."""
    for folder in sorted((machines_folder() / description()["cluster"]).glob("*")):
        stop(folder)


def power_off(folder: Path) -> None:
    """Stop all processes of the machine; it can be powered on again."""
    was_on = keeper_of(folder) is not None
    stop_processes(folder)
    if was_on:
        print(f"{folder.name} is powered off")


def power_on_again(folder: Path) -> None:
    """Start a machine that does not run."""
    if keeper_of(folder) is None:
        stop_processes(folder)  # what a killed keeper left behind
        power_on(folder)
        print(f"{folder.name} runs again")


def for_each_machine(action: Callable[[Path], None]) -> None:
    """Do it to each machine that was started and never stopped; goes on after a failure."""
    failures = []
    for stored in sorted(machines_folder().glob("*/*/machine.json")):
        folder = stored.parent
        try:
            with locked(folder):
                action(folder)
        except (MachineError, OSError) as error:
            failures.append(str(error))
    if failures:
        raise MachineError("; ".join(failures))


# The two ends of a machine's life


def power_on(folder: Path) -> None:
    """Start the keeper, detached: own session, none of our descriptors; waits until it listens."""
    with (folder / "machine.log").open("ab") as log:
        begin = log.tell()
        keeper = subprocess.Popen(
            [sys.executable, str(folder / "machine.py"), "keep", str(folder)],
            env=read_json(folder / "machine.json")["environment"],  # without the token
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder,
            start_new_session=True,
        )
    try:
        wait_for(
            lambda: keeper_of(folder) == keeper.pid or keeper.poll() is not None,
            f"{folder.name} does not listen after {SECONDS_TO_START:.0f} seconds",
            seconds=SECONDS_TO_START,
        )
    except BaseException:
        keeper.kill()
        keeper.wait()
        raise
    if keeper.poll() is not None:
        raise MachineError(f"{folder.name} did not start: {last_line(folder, begin)}")
    keeper.returncode = 0  # it lives on without us, and that is no leak


def stop_processes(folder: Path) -> None:
    """End the keeper, kindly at first, and every process of the machine; nothing happens if none runs."""
    pid = keeper_of(folder)
    if pid is not None:
        os.kill(pid, signal.SIGTERM)
        with contextlib.suppress(MachineError):
            wait_for(lambda: keeper_of(folder) is None, "it hangs", seconds=SECONDS_TO_STOP)
        if keeper_of(folder) is not None:
            victims = [pid, *descendants(pid)]  # before they are orphans
            for victim in victims:
                kill(victim)
    # A keeper that was killed could not take the probers along.
    wait_for(
        lambda: not [kill(stray) for stray in processes_of(folder)],
        f"processes of {folder.name} cannot be killed",
        seconds=SECONDS_TO_STOP,
    )
    (folder / "machine.pid").unlink(missing_ok=True)


# The keeper


class Echo(socketserver.BaseRequestHandler):
    """Answers with what it gets until the other side is done."""

    def handle(self) -> None:
        """Serve one connection."""
        self.request.settimeout(60)
        with contextlib.suppress(OSError):
            while chunk := self.request.recv(4096):
                self.request.sendall(chunk)


class EchoServer(socketserver.ThreadingTCPServer):
    """The machine's open port."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128


class DatagramEcho(socketserver.BaseRequestHandler):
    """Sends a datagram back."""

    def handle(self) -> None:
        """Serve one datagram."""
        message, server = self.request
        # Two echoes that answer each other would never end.
        if self.client_address[1] != server.getsockname()[1]:
            with contextlib.suppress(OSError):
                server.sendto(message, self.client_address)


def keep(folder: Path) -> int:
    """Be the machine: listen, keep the agent running, adopt and reap every orphan, take all down at the end."""
    description = read_json(folder / "machine.json")
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    watched = {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT}
    # Before the first thread: all of them must leave the signals to sigtimedwait below.
    signal.pthread_sigmask(signal.SIG_BLOCK, watched)
    address = (description["address"], description["port"])
    try:
        servers = [EchoServer(address, Echo), socketserver.UDPServer(address, DatagramEcho)]
    except OSError as error:
        print(f"cannot listen on {address[0]}:{address[1]}: {error.strerror}", file=sys.stderr)
        return 1
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    write_file(
        folder / "machine.pid",
        json.dumps({"pid": os.getpid(), "start_ticks": start_ticks(os.getpid())}),
    )
    agent = keep_agent_running(folder, description, watched)
    take_down(agent, watched)
    (folder / "machine.pid").unlink(missing_ok=True)
    return 0


def keep_agent_running(
    folder: Path, description: dict[str, Any], watched: set[signal.Signals]
) -> int | None:
    """Start the agent again a second after each end, until a signal says stop; the pid of the last one, if it runs."""
    agent: int | None = None
    next_start = time.monotonic()
    while True:
        if agent is None and time.monotonic() >= next_start:
            agent = start_agent(folder, description)
        bound_log(folder / "machine.log")
        pause = next_start - time.monotonic() if agent is None else SECONDS_BETWEEN_LOOKS_AT_THE_LOG
        received = signal.sigtimedwait(watched, max(0.0, pause))
        for pid, status in reaped():
            if pid == agent:
                print(f"the agent ended: {os.waitstatus_to_exitcode(status)}", flush=True)
                agent = None
                next_start = time.monotonic() + SECONDS_BETWEEN_AGENTS
        if received and received.si_signo != signal.SIGCHLD:
            return agent


def start_agent(folder: Path, description: dict[str, Any]) -> int:
    """Start the agent through `become_agent`; the pid."""
    return os.posix_spawn(
        sys.executable,
        [sys.executable, str(folder / "machine.py"), "agent", str(folder)],
        agent_environment(folder, description),
        setsigmask=[],
    )


def agent_environment(folder: Path, description: dict[str, Any]) -> dict[str, str]:
    """All that the agent is told."""
    return {
        # Whoever tries this out may have a Python that another user cannot even read.
        "MR_PROBER_AGENT_USER": pwd.getpwuid(os.geteuid()).pw_name,
        **description["environment"],
        "PYTHONPATH": description["home"],
        "MR_PROBER_CLUSTER": description["cluster"],
        "MR_PROBER_HOST": description["host"],
        "MR_PROBER_API_URL": description["api_url"],
        "MR_PROBER_AGENT_TOKEN_FILE": str(folder / "token"),
        "MR_PROBER_AGENT_DIR": str(folder / "agent"),
        "MR_PROBER_SOLOMON_URL": description["solomon_url"],
        "MR_PROBER_SOLOMON_TOKEN": "local",  # the stand-in accepts any
    }


def become_agent(folder: Path) -> NoReturn:
    """Turn this process into the agent, after arranging that it dies with its keeper."""
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if keeper_of(folder) != os.getppid():  # it died before we asked for its signal
        sys.exit(1)
    program = Path(read_json(folder / "machine.json")["home"]) / "agent" / "main.py"
    os.execv(sys.executable, [sys.executable, str(program)])  # noqa: S606 - no shell is wanted


def take_down(agent: int | None, watched: set[signal.Signals]) -> None:
    """End the agent, then kill all that is left: every orphan of the machine has come to us."""
    limit = time.monotonic() + SECONDS_FOR_THE_AGENT_TO_END
    if agent is not None:
        kill(agent, signal.SIGTERM)
    while agent is not None and time.monotonic() < limit:
        if agent in [pid for pid, _ in reaped()]:
            break
        signal.sigtimedwait(watched, 0.2)
    while left := descendants(os.getpid()):
        for pid in left:
            kill(pid)
        signal.sigtimedwait(watched, 0.05)
        reaped()


def reaped() -> list[tuple[int, int]]:
    """Every child that has ended, with its status; none stays a zombie."""
    ended = []
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            ended.append((pid, status))
    return ended


def bound_log(log: Path) -> None:
    """Move a full log aside; who writes to it goes on at its new start."""
    if log.stat().st_size > MAX_LOG_BYTES:
        shutil.copyfile(log, log.with_suffix(".log.1"))
        os.truncate(log, 0)


# Processes


def keeper_of(folder: Path) -> int | None:
    """Pid of the machine's keeper, if it runs."""
    stored = read_json(folder / "machine.pid")
    pid = stored.get("pid")
    if pid is None or start_ticks(pid) != stored["start_ticks"]:
        return None
    return int(pid)


def start_ticks(pid: int) -> int | None:
    """When the process started, in clock ticks since boot; None if it is gone or a zombie."""
    fields = stat_fields(pid)
    return int(fields[19]) if fields and fields[0] not in "ZX" else None


def descendants(pid: int) -> list[int]:
    """All living processes below this one."""
    children: dict[int, list[int]] = {}
    for other in all_pids():
        fields = stat_fields(other)
        if fields and fields[0] not in "ZX":
            children.setdefault(int(fields[1]), []).append(other)
    found = list(children.get(pid, []))
    for parent in found:
        found.extend(children.get(parent, []))
    return found


def processes_of(folder: Path) -> list[int]:
    """Agents and probers of the machine wherever they are now: their environment names the agent's folder."""
    marks = tuple(f"{name}={folder}/".encode() for name in ("MR_PROBER_AGENT_DIR", "TMPDIR"))
    found = []
    for pid in all_pids():
        with contextlib.suppress(OSError):
            variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            if any(variable.startswith(marks) for variable in variables):
                found.append(pid)
    return found


def all_pids() -> Iterator[int]:
    """Every process of this machine."""
    return (int(entry) for entry in os.listdir("/proc") if entry.isdigit())  # noqa: PTH208 - names only


def stat_fields(pid: int) -> list[str] | None:
    """Fields of /proc/<pid>/stat from the third (state, parent, …); None if there is no such process."""
    try:
        # The second field is the name in brackets, which may hold any bytes.
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].decode().split()
    except OSError:
        return None


def kill(pid: int, number: signal.Signals = signal.SIGKILL) -> int:
    """Send a signal to a process that may be gone."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
    return pid


def prctl(option: int, value: int) -> None:
    """Tell the kernel something about this process."""
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl failed")


# Descriptions and files


def described_folder() -> Path:
    """Folder of the machine that the environment describes."""
    return machines_folder() / description()["cluster"] / description()["host"]


def described_start() -> dict[str, Any]:
    """All that is needed to start the machine, now and after a power cut."""
    environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    environment["MR_PROBER_ENVIRONMENT"] = os.environ.get("MR_PROBER_ENVIRONMENT", "local")
    return {**description(), "home": required("MR_PROBER_HOME"), "environment": environment}


def description() -> dict[str, Any]:
    """What terraform says about the machine."""
    stored: dict[str, Any] = json.loads(required("MR_PROBER_MACHINE"))
    return stored


def machines_folder() -> Path:
    """Where all machines are."""
    return Path(required("MR_PROBER_DATA_DIR")).resolve() / "machines"


def required(name: str) -> str:
    """The variable's value; MachineError if it is not set."""
    value = os.environ.get(name)
    if not value:
        raise MachineError(f"the environment variable {name} is not set")
    return value


def read_json(path: Path) -> dict[str, Any]:
    """The file's content, empty if there is none."""
    try:
        content: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    return content


def write_file(path: Path, text: str) -> None:
    """Write a file that only we read, whole or not at all."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.touch(mode=0o600)
    draft.write_text(text)
    draft.replace(path)


def last_line(log_folder: Path, begin: int) -> str:
    """The last line that the keeper wrote since `begin` (bytes)."""
    with (log_folder / "machine.log").open("rb") as log:
        log.seek(begin)
        lines = log.read().decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"


def remove_folder(folder: Path) -> None:
    """Remove a folder with the files of probers, which are read-only and so are their folders."""
    for parent, _, _ in os.walk(folder):
        Path(parent).chmod(0o700)
    shutil.rmtree(folder)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the machine's lock: one start or stop at a time; freed by the kernel if we are killed."""
    # Not in the folder, which `stop` removes. Descriptors of Python do not reach the keeper.
    locks = folder.parent.parent / ".locks"
    locks.mkdir(mode=0o700, exist_ok=True)
    with (locks / f"{folder.parent.name}.{folder.name}").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def wait_for(condition: Callable[[], bool], complaint: str, *, seconds: float) -> None:
    """Look every 20 ms until the condition holds; MachineError with the complaint after the time."""
    limit = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > limit:
            raise MachineError(complaint)
        time.sleep(0.02)


if __name__ == "__main__":
    sys.exit(main())
