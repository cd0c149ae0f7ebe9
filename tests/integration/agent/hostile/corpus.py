"""Programs that behave as badly as programs can, each with the verdict that it must get."""

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True)
class Case:
    """One program; `outcome` and a part of the reason are expected, and that nothing is left behind."""

    name: str
    arguments: tuple[str, ...]
    outcome: str
    reason: str = ""
    output: str = "none"
    time_limit_seconds: float = 10.0
    memory_mb: int = 200
    processes: int = 40
    cpu_seconds: int = 20
    user: str = ""
    mode: str = "run"
    times: int = 1
    kills_launcher: bool = False
    samples: tuple[str, ...] = ()
    # Name, content (none: that of the system's program of this name), mode.
    files: tuple[tuple[str, bytes, int], ...] = ()


def shell(name: str, script: str, outcome: str, reason: str = "", **more: object) -> Case:
    return Case(name, ("sh", "-c", script), outcome, reason, **more)  # type: ignore[arg-type]


def python(name: str, code: str, outcome: str, reason: str = "", **more: object) -> Case:
    return Case(name, ("python3", "-I", "-S", "-c", code), outcome, reason, **more)  # type: ignore[arg-type]


def warm(name: str, code: str, outcome: str, reason: str = "", **more: object) -> Case:
    file = name.replace(" ", "_").replace(":", "").replace("'", "") + ".py"
    # What it does at first only says whether it is a fork.
    told = f"import sys\nif sys.argv[1:] == ['quietly']:\n    sys.exit(0)\n{code}"
    return Case(
        name, ("python3", file), outcome, reason, mode="warm", files=((file, told.encode(), 0o644),), **more,  # type: ignore[arg-type]
    )  # fmt: skip


_DOUBLE_FORK = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(300)
    os._exit(0)
"""
_STORM = """
import os
while True:
    try:
        if os.fork() == 0:
            os.setsid()
    except OSError:
        pass
"""
_SOCKET = """
import os, socket, time
if os.fork() == 0:
    os.setsid()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind("\\0left-behind")
    listener.listen()
    time.sleep(300)
time.sleep(0.1)
"""
_MEMORY = """
import time
kept = []
while True:
    kept.append(bytearray(b"x" * 10_000_000))
    time.sleep(0.005)
"""
_CHILDREN_EAT = """
import os, time
for _ in range(3):
    if os.fork() == 0:
        eaten = b"x" * 90_000_000
        time.sleep(300)
time.sleep(300)
"""
_NOISE = r"""
import sys
out = sys.stdout.buffer
out.write(b"good_before 1\n\0\0\0\nnot_a_number NaN\nhalf{ \n" + b"x" * 10_000_000 + b"\ngood_after 2\nno_end")
"""
_LIMITS = """
import resource, sys
for name in ("NOFILE", "DATA", "NPROC", "CORE"):
    which = getattr(resource, "RLIMIT_" + name)
    try:
        resource.setrlimit(which, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    except (ValueError, OSError):
        continue
    sys.exit(name + " could be raised")
"""
_LIMITS_BY_SHELL = """
for limit in '-Hn 100000' '-Hd unlimited' '-Hc unlimited'; do
    if ulimit $limit 2>/dev/null; then echo "$limit could be raised" >&2; exit 1; fi
done
"""
_IGNORES_SIGTERM = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
while True:
    time.sleep(0.01)
"""
_EXITS_ON_SIGTERM = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
while True:
    time.sleep(0.01)
"""
_LEAVES_THE_GROUP = """
import subprocess, time
subprocess.Popen(["sleep", "300"], start_new_session=True)
subprocess.Popen(["/bin/sleep", "300"], start_new_session=True, env={})
time.sleep(0.05)
"""
_HOLDS_STDOUT = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    time.sleep(300)
time.sleep(0.05)
sys.exit("said")
"""
_FLOODS = """
import sys
while True:
    sys.stdout.buffer.write(b"x" * 65536)
"""
_BURNS = """
while True:
    pass
"""
_MANGLES_ITS_WORLD = """
import os, resource, shutil, sys, threading, time
import json
json.dumps = os.getcwd = time.sleep = None
os.environ.clear()
os.closerange(0, 100)
resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
threading.Thread(target=lambda: [None for _ in iter(int, 1)], daemon=True).start()
os._exit(4)
"""
_KILLS_ITS_PARENTS = """
import os, signal
for entry in os.listdir("/proc"):
    try:
        with open(f"/proc/{entry}/cmdline", "rb") as file:
            if b"warm_interpreter" in file.read() and int(entry) != os.getpid():
                os.kill(int(entry), signal.SIGKILL)
    except (OSError, ValueError):
        pass
"""
_FOREVER = "while :; do sleep 0.01; done"

CORPUS = (
    shell("ignores SIGTERM", "trap '' TERM; " + _FOREVER, "timeout", "no end within", time_limit_seconds=0.3),
    shell("exits 0 on SIGTERM", "trap 'exit 0' TERM; " + _FOREVER, "timeout", time_limit_seconds=0.3),
    shell("stops itself", "kill -STOP $$", "timeout", time_limit_seconds=0.3),
    shell("a child leaves the group", "setsid sleep 300 & sleep 0.05", "success"),
    shell("a child forgets its run", "setsid env -i /bin/sleep 300 & sleep 0.05", "success"),
    python("double fork", _DOUBLE_FORK, "success"),
    shell("an orphan holds stdout", "setsid sh -c 'sleep 300' & sleep 0.05; echo said; exit 5", "failure", "said"),
    shell("closes its output and goes on", "exec >&- 2>&-; sleep 0.1; exit 4", "failure", "exit status 4"),
    shell("floods", "exec head -c 1000000000 /dev/zero", "broken", "killed by limit (output_mb)"),
    python("noise", _NOISE, "success", output="prometheus", samples=("good_before", "good_after"), memory_mb=400),
    python("eats memory", _MEMORY, "broken", "killed by limit (memory_mb)"),
    python("its children eat memory", _CHILDREN_EAT, "broken", "killed by limit (memory_mb)"),
    shell("burns the processor", "while :; do :; done", "broken", "killed by limit (cpu_seconds)", cpu_seconds=1),
    python("fork storm", _STORM, "broken", "killed by limit (processes)"),
    python("leaves a socket", _SOCKET, "success"),
    python("raises its limits", _LIMITS, "success"),
    shell("raises its limits as nobody", _LIMITS_BY_SHELL, "success", user="nobody"),
    shell("removes its directory", "rm -rf $TMPDIR; sleep 0.05", "success"),
    shell("fills its directory", "for i in 1 2 3 4 5 6 7 8 9; do mkdir -p $TMPDIR/$i/$i; echo > $TMPDIR/$i/file; done; chmod 0 $TMPDIR",
          "success"),
    shell("a set-user-ID child stays who it is", "test $(./id -u) = $(id -u)", "success", user="nobody",
          files=(("id", b"", 0o4755),)),
    shell("kills its group", "kill -9 0", "broken", "killed by SIGKILL"),
    shell("kills its parent's group", "kill -9 -$PPID; sleep 300", "broken", "the process that started it was killed",
          kills_launcher=True),
    shell("stops its parent", "kill -STOP $PPID; sleep 300", "timeout", time_limit_seconds=0.3, kills_launcher=True),
    Case("no interpreter", ("./orphaned-script",), "broken", "cannot start",
         files=(("orphaned-script", b"#!/nowhere/python\n", 0o755),)),
    shell("becomes a program that is missing", "exec /nowhere/program", "broken"),
    shell("many ignore SIGTERM", "trap '' TERM; " + _FOREVER, "timeout", time_limit_seconds=1.0, times=20),
    shell("many leave their group", "for i in 1 2 3; do (setsid sleep 300 &); done", "success", times=20),
)  # fmt: skip

# Forks of a warm parent: each file is run until there is one.
WARM_CORPUS = (
    warm("warm: ignores SIGTERM", _IGNORES_SIGTERM, "timeout", "no end within", time_limit_seconds=0.5),
    warm("warm: exits 0 on SIGTERM", _EXITS_ON_SIGTERM, "timeout", time_limit_seconds=0.5),
    warm("warm: stops itself", "import os\nos.kill(os.getpid(), 19)", "timeout", time_limit_seconds=0.3),
    warm("warm: children leave the group", _LEAVES_THE_GROUP, "success"),
    warm("warm: double fork", _DOUBLE_FORK, "success"),
    warm("warm: an orphan holds stdout", _HOLDS_STDOUT, "failure", "said"),
    warm("warm: floods", _FLOODS, "broken", "killed by limit (output_mb)"),
    warm("warm: noise", _NOISE, "success", output="prometheus", samples=("good_before", "good_after"), memory_mb=400),
    warm("warm: eats memory", _MEMORY, "broken", "killed by limit (memory_mb)"),
    warm("warm: its children eat memory", _CHILDREN_EAT, "broken", "killed by limit (memory_mb)"),
    warm("warm: burns the processor", _BURNS, "broken", "killed by limit (cpu_seconds)", cpu_seconds=1),
    warm("warm: fork storm", _STORM, "broken", "killed by limit (processes)"),
    warm("warm: leaves a socket", _SOCKET, "success"),
    warm("warm: raises its limits", _LIMITS, "success"),
    warm("warm: mangles its world", _MANGLES_ITS_WORLD, "failure", "exit status 4", times=3),
    warm("warm: kills its group", "import os\nos.kill(0, 9)", "broken", "killed by SIGKILL"),
    warm("warm: kills its parent's group", "import os, time\nos.killpg(os.getpgid(os.getppid()), 9)\ntime.sleep(300)", "broken",
         "the process that started it was killed", kills_launcher=True),
    warm("warm: kills the warm parent", _KILLS_ITS_PARENTS, "success"),
    warm("warm: many ignore SIGTERM", _IGNORES_SIGTERM, "timeout", time_limit_seconds=2.0, times=20),
    warm("warm: many leave their group", _LEAVES_THE_GROUP, "success", times=20),
)  # fmt: skip
CORPORA = {"run": CORPUS, "warm": WARM_CORPUS}
