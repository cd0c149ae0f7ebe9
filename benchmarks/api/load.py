"""The load: `wrk` where it is installed, else a small client of our own; many connections, many agents' keys."""

import asyncio
import resource
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from benchmarks.api.servers import Server, pin_to_other_cpus
from common.processes import start

_CONNECTIONS = 64


@dataclass(frozen=True)
class Request:
    """One request of an agent."""

    method: str
    path: str
    token: str
    etag: str = ""
    body: Path | None = None


@dataclass(frozen=True)
class Outcome:
    """What a load did: answers, how many of them refused, and the generator's own share of a core."""

    answers: int
    refused: int
    seconds: float
    generator: str
    generator_cpu: float
    server_cpu: float

    @property
    def rate(self) -> float:
        """Answers per second."""
        return self.answers / self.seconds

    @property
    def rate_per_core(self) -> float:
        """Answers per second of the server's CPU: what it does on a core of its own, whatever else the machine does."""
        return self.rate / self.server_cpu


def run_load(server: Server, requests: Sequence[Request], seconds: int, folder: Path) -> Outcome:
    """Send the requests round and round; at any time one on each connection."""
    lines = folder / "requests.tsv"
    lines.write_text("".join(_line(one) for one in requests))
    cpu_before, server_before = _children_cpu(), server.cpu_seconds()
    output = folder / "load.out"
    wrk = shutil.which("wrk")
    arguments = (
        [wrk, "-t1", f"-c{_CONNECTIONS}", f"-d{seconds}s", "-s", str(Path(__file__).with_name("wrk.lua")), server.url, "--", str(lines)]
        if wrk
        else [sys.executable, "-m", "benchmarks.api.load", str(server.port), str(seconds), str(lines)]
    )  # fmt: skip
    with output.open("wb") as file:
        root = str(Path(__file__).resolve().parents[2])
        process = start(
            arguments, environment={"PYTHONPATH": root}, cwd=folder, stdout=file, stderr=file
        )
        pin_to_other_cpus(process.pid)
        process.wait()
    result = next((one for one in output.read_text().splitlines() if "RESULT" in one), None)
    if result is None:
        raise RuntimeError(output.read_text())
    answers, refused, microseconds = (int(word) for word in result.split()[1:4])
    elapsed = microseconds / 1e6
    return Outcome(
        answers,
        refused,
        elapsed,
        generator="wrk" if wrk else "asyncio client",
        generator_cpu=(_children_cpu() - cpu_before) / elapsed,
        server_cpu=(server.cpu_seconds() - server_before) / elapsed,
    )


def _line(request: Request) -> str:
    body = str(request.body) if request.body else "-"
    return f"{request.method}\t{request.path}\t{request.token}\t{request.etag}\t{body}\n"


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _raw(line: str) -> bytes:
    method, path, token, etag, body = line.rstrip("\n").split("\t")
    content = Path(body).read_bytes() if body != "-" else b""
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
    head += f"If-None-Match: {etag}\r\n" if etag else ""
    head += (
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n" if content else ""
    )
    return head.encode() + b"\r\n" + content


async def _agent(port: int, requests: "cycle[bytes]", until: float, counts: list[int]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while time.monotonic() < until:
        writer.write(next(requests))
        head = await reader.readuntil(b"\r\n\r\n")
        if b"content-length:" in head:
            await reader.readexactly(int(head.split(b"content-length:")[1].split(b"\r\n")[0]))
        counts[0] += 1
        counts[1] += head[9:10] not in b"23"
    writer.close()


async def _main(port: int, seconds: float, lines: list[str]) -> None:
    requests = cycle([_raw(line) for line in lines])
    counts = [0, 0]
    started = time.monotonic()
    agents = [_agent(port, requests, started + seconds, counts) for _ in range(_CONNECTIONS)]
    await asyncio.gather(*agents)
    microseconds = (time.monotonic() - started) * 1e6
    sys.stdout.write(f"RESULT {counts[0]} {counts[1]} {microseconds:.0f} 0\n")


if __name__ == "__main__":
    asyncio.run(
        _main(int(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3]).read_text().splitlines())
    )
