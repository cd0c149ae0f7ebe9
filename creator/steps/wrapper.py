"""Act, in a process of its own: one terraform from its start to the record of its end, whatever becomes of Creator.

It is forked from the starter (`starter.py`) and leads a session of its own, in which terraform leads a process group.
Standard library only.
"""

import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from creator.steps.launches import Launch, User
from creator.steps.process_table import ProcessIdentity, session_members
from creator.steps.run_folder import STDERR, STDOUT, Exit, RunFolder

# Of the system call prctl.
_SET_PARENT_DEATH_SIGNAL = 1
_SET_CHILD_SUBREAPER = 36
_SET_NO_NEW_PRIVILEGES = 38
_LIBC = ctypes.CDLL(None, use_errno=True)
# What the starter, this module and Python itself ignore, and no program expects to be ignored.
_RESET_FOR_TERRAFORM = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, signal.SIGPIPE, signal.SIGXFSZ)  # fmt: skip
# Whoever comes next must not meet the locks of those who are left; one that a dead disk holds does not die.
_LONGEST_SWEEP_SECONDS = 30.0
_LONGEST_WAIT_SECONDS = 86_400.0


class NotStartedError(Exception):
    """terraform did not start; the text says why."""


def wrap(launch: Launch, report: Callable[[str], None]) -> None:
    """Run it to its end; `report` is called once, when it is clear whether it runs: with what went wrong, or nothing."""
    folder = RunFolder(Path(launch.folder))
    try:
        _settle_in(folder)
        if time.time() >= launch.start_before_seconds:
            raise NotStartedError("it came too late")  # noqa: TRY301 - as all that can go wrong here
        if not folder.claim(_myself()):
            report("")  # another wrapper runs it, or somebody gave it up: the folder says which
            return
    except (OSError, NotStartedError) as error:
        report(str(error))
        return
    try:
        terraform = _start(launch, folder)
    except (OSError, NotStartedError) as error:
        folder.record_exit(Exit(None, at_seconds=time.time(), error=str(error)[:500]))
        report(str(error))
        return
    report("")
    end = _looked_after(terraform, launch, folder)
    _sweep()
    folder.record_exit(end)


def _settle_in(folder: RunFolder) -> None:
    os.setsid()
    os.umask(0o077)
    # A second signal from whoever stops the machine would cost terraform its state: it hears of that itself.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    # What terraform leaves behind becomes ours, so that we know when nothing is left.
    _LIBC.prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    os.chdir(folder.path)
    for descriptor, name in ((1, STDOUT), (2, STDERR)):
        opened = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(opened, descriptor)
        os.close(opened)
    folder.reserve_exit()
    os.set_inheritable(folder.hold_alive(), True)


def _myself() -> ProcessIdentity:
    stat = Path("/proc/self/stat").read_bytes()
    return ProcessIdentity(os.getpid(), int(stat.rpartition(b")")[2].split()[19]))


def _start(launch: Launch, folder: RunFolder) -> int:
    """Its pid, as soon as it is terraform; NotStartedError, OSError."""
    reading, writing = os.pipe()  # closed by exec
    wrapper = os.getpid()
    pid = os.fork()
    if pid == 0:
        _become_terraform(launch, folder, wrapper, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as complaints:
        complaint = complaints.read()
    if complaint:
        os.waitpid(pid, 0)
        raise NotStartedError(complaint.decode(errors="replace"))
    return pid


def _become_terraform(launch: Launch, folder: RunFolder, wrapper: int, complaints: int) -> NoReturn:
    try:
        os.setpgid(0, 0)
        # If the wrapper is killed before terraform is known to be there, then it must never be there.
        _LIBC.prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != wrapper:
            os._exit(127)
        folder.terraform_starts(_myself())
        _LIBC.prctl(_SET_PARENT_DEATH_SIGNAL, 0, 0, 0, 0)
        for number in _RESET_FOR_TERRAFORM:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        if launch.user:
            _turn_into(launch.user)
        os.chdir(launch.working_directory)
        os.execve(launch.arguments[0], launch.arguments, launch.whole_environment)  # noqa: S606 - an argument list
    except BaseException as error:  # noqa: BLE001 - whatever it was, this process must not go on as a second wrapper
        os.write(complaints, str(error).encode()[:2000])
    os._exit(127)


def _turn_into(user: User) -> None:
    os.setgroups(user.groups)
    os.setresgid(user.gid, user.gid, user.gid)
    os.setresuid(user.uid, user.uid, user.uid)
    if _LIBC.prctl(_SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "no_new_privs cannot be set")


def _looked_after(terraform: int, launch: Launch, folder: RunFolder) -> Exit:
    """Its end, which comes by itself, by one SIGINT at the time limit, or by a SIGKILL after the grace."""
    interrupted = killed = False
    status = _status(terraform, launch.time_limit_seconds)
    if status is None:
        interrupted = True
        if folder.mark_interrupted():
            os.kill(terraform, signal.SIGINT)
        status = _status(terraform, launch.grace_seconds)
    while status is None:
        killed = True
        _kill_session()
        status = _status(terraform, 1)
    code = os.waitstatus_to_exitcode(status)
    return Exit(code, interrupted=interrupted, killed=killed, at_seconds=time.time())


def _status(terraform: int, seconds: float) -> int | None:
    """terraform's exit status if it ends in time; all the others that end meanwhile are reaped."""
    limit = time.monotonic() + seconds
    while True:
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == terraform:
                return status
            if pid == 0:
                break
        left = limit - time.monotonic()
        if left <= 0:
            return None
        signal.sigtimedwait({signal.SIGCHLD}, min(left, _LONGEST_WAIT_SECONDS))


def _sweep() -> None:
    """Kill what is left of the session; a daemon with a session of its own stays."""
    limit = time.monotonic() + _LONGEST_SWEEP_SECONDS
    while _has_children() and _kill_session() and time.monotonic() < limit:
        signal.sigtimedwait({signal.SIGCHLD}, 0.1)


def _has_children() -> bool:
    """Whether anybody is left, whatever the session; reaps who has ended."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
        return True
    return False


def _kill_session() -> int:
    members = session_members(os.getpid())
    for pid in members:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return len(members)


def end_wrapper(code: int = 0) -> NoReturn:
    """End without anything that the starter would do at its end."""
    sys.stderr.flush()
    os._exit(code)
