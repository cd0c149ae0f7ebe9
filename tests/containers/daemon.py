"""A Docker daemon of our own: in namespaces of network, processes and mounts, so that its end takes everything along."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Debian's, whatever else is called `docker` on PATH.
PATH = f"/usr/bin:/usr/sbin:/bin:/sbin:{os.environ['PATH']}"
PROGRAMS = (
    "docker",
    "dockerd",
    "docker-compose",
    "mmdebstrap",
    "iptables",
    "ip",
    "unshare",
    "nsenter",
    "setpriv",
)
BASE_IMAGE = "python:3.11-slim-bookworm"
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
# The shell stays as the first process: dockerd would leave zombies of what loses its parent.
_START = """
ip link set lo up
mkdir "$1/data"
if [ "$2" = memory ]; then mount -t tmpfs -o size=12g,mode=755 images "$1/data"; fi
dockerd --host="unix://$1/docker.sock" --data-root="$1/data" --exec-root="$1/run" --pidfile="$1/docker.pid" \\
    --cgroup-parent="/$(basename "$1")" --experimental --ip6tables &
wait $!
"""


def missing_programs() -> list[str]:
    """What this machine lacks."""
    return [name for name in PROGRAMS if shutil.which(name, path=PATH) is None]


def wait_until(what: str, look: Callable[[], object], *, seconds: float = 120) -> None:
    """Look until it is true; AssertionError with the last answer after the time."""
    limit = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < limit, f"never seen: {what}; last: {seen!r}"
        time.sleep(0.3)


def _is_memory_plenty() -> bool:
    """Then files that go soon are there: quicker, and gone at once with the namespace of mounts."""
    available = next(
        line
        for line in Path("/proc/meminfo").read_text().splitlines()
        if line.startswith("MemAvailable")
    )
    return int(available.split()[1]) > 10 * 1024**2


class Daemon:
    """The daemon, and what is asked of it."""

    def __init__(self) -> None:
        # Not pytest's folder: the path of a socket is short.
        self.folder = Path(tempfile.mkdtemp(prefix="mr-prober-docker-"))
        self.environment = {
            "PATH": PATH,
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "DOCKER_HOST": f"unix://{self.folder}/docker.sock",
        }
        with (self.folder / "log").open("wb") as log:
            self._outer = subprocess.Popen(
                [
                    "setpriv", "--pdeathsig", "KILL",
                    "unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
                    "sh", "-c", _START, "sh", str(self.folder), "memory" if _is_memory_plenty() else "disk",
                ],
                env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    @property
    def first_process(self) -> int:
        """The first process of its namespaces, as we see it."""
        pid = self._outer.pid
        return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])

    def wait_for_start(self) -> None:
        """Until it answers."""

        def answers() -> bool:
            assert self._outer.poll() is None, f"dockerd ended:\n{self.log()}"
            asked = subprocess.run(
                ["docker", "info"], env=self.environment, capture_output=True, check=False
            )
            return asked.returncode == 0

        wait_until("an answer of dockerd", answers)

    def log(self) -> str:
        """The end of what it said."""
        return (self.folder / "log").read_text()[-5000:]

    def run(
        self,
        *command: str,
        check: bool = True,
        seconds: float = 110,
        more: Mapping[str, str] | None = None,
    ) -> str:
        """What a program says that speaks with the daemon; AssertionError if it fails and should not."""
        ended = subprocess.run(
            command, cwd=ROOT, env={**self.environment, **(more or {})}, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=seconds, check=False,
        )  # fmt: skip
        assert not check or ended.returncode == 0, f"{command}\n{ended.stdout[-6000:]}"
        return ended.stdout.strip()

    def docker(self, *arguments: str, check: bool = True) -> str:
        """What `docker` says."""
        return self.run("docker", *arguments, check=check)

    def state(self, container: str) -> str:
        """`running healthy 0`, `exited none 137`, …: status, health and exit code."""
        form = "{{.State.Status}} {{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}} {{.State.ExitCode}}"
        return self.docker("inspect", "--format", form, container)

    def kill(self, container: str) -> None:
        """kill -9 of its first process, as if the kernel did it: `docker kill` would switch the restart policy off.

        Until the daemon knows, the container is as healthy as it was.
        """

        def pid() -> str:
            return self.docker("inspect", "--format", "{{.State.Pid}}", container)

        alive = pid()
        self.run("nsenter", "--target", str(self.first_process), "--pid", "--", "kill", "-9", alive)
        wait_until(f"the end of {container}", lambda: pid() != alive)

    def processes(self) -> list[str]:
        """What runs in its namespace beside itself: containers."""
        said = self.run(
            "nsenter",
            "--target",
            str(self.first_process),
            "--pid",
            "--mount",
            "--",
            "ps",
            "-e",
            "-o",
            "args",
        )
        ours = ("COMMAND", "[", "sh -c", "dockerd ", "containerd ", "ps -e", "nsenter ")
        return [line for line in said.splitlines() if not line.startswith(ours)]

    def stop(self) -> None:
        """The end of everything in its namespaces, and of its folder."""
        self._outer.kill()  # and the kernel kills all that is inside
        self._outer.wait()
        wait_until("the end of all that ran in its cgroups", self._groups_are_gone)
        shutil.rmtree(self.folder)

    def _groups_are_gone(self) -> bool:
        """Remove the cgroups; False as long as the kernel still ends a process in one."""
        for group in Path("/sys/fs/cgroup").glob(f"*/{self.folder.name}"):
            for folder in [*sorted(group.rglob("*/"), reverse=True), group]:
                try:
                    if folder.is_dir():
                        folder.rmdir()
                except OSError:
                    return False
        return True


# libstdc++6 is in every Debian that has apt; grpc needs it.
BASE_PACKAGES = "python3,python3-venv,ca-certificates,passwd,tzdata,libstdc++6"


def make_base_image(archive: Path) -> None:
    """A Debian with Python as the official image has it, from the package sources of this machine: no registry is asked."""
    if archive.exists():
        return
    archive.parent.mkdir(parents=True, exist_ok=True)
    draft = archive.with_suffix(".draft.tar")
    options = [
        f"--dpkgopt=path-exclude=/usr/share/{folder}/*" for folder in ("doc", "man", "locale")
    ]
    # Nobody needs it after a crash, and every file of it would be waited for.
    options.append("--dpkgopt=force-unsafe-io")
    memory = {"TMPDIR": "/dev/shm"} if _is_memory_plenty() else {}  # noqa: S108 - it makes its own folder there
    subprocess.run(
        ["mmdebstrap", "--quiet", "--variant=essential", f"--include={BASE_PACKAGES}", *options, "bookworm", str(draft)],
        env=os.environ | {"PATH": PATH} | memory, check=True, timeout=600, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    draft.replace(archive)


def start_relay(daemon: Daemon) -> tuple[subprocess.Popen[str], int]:
    """The proxy for builds, and its port inside."""
    relay = subprocess.Popen(
        [sys.executable, "-m", "tests.containers.index_relay", str(daemon.first_process)],
        cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert relay.stdout
    return relay, int(relay.stdout.readline())


def index_secret(port: int) -> str:
    """The lines of the secret `index`: through the relay, with the authorities of this machine, to the index that it names."""
    lines = [f"HTTPS_PROXY=http://127.0.0.1:{port}", f"HTTP_PROXY=http://127.0.0.1:{port}"]
    if AUTHORITIES.exists():
        lines += [f"{name}=/run/secrets/authorities" for name in ("PIP_CERT", "SSL_CERT_FILE")]
    index = os.environ.get("PIP_INDEX_URL") or _configured_index()
    if index:
        lines += [f"PIP_INDEX_URL={index}", f"UV_DEFAULT_INDEX={index}"]
    return "\n".join(lines) + "\n"


def _configured_index() -> str:
    said = subprocess.run(
        [sys.executable, "-m", "pip", "config", "get", "global.index-url"],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    return said.stdout.strip()
